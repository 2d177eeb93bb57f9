import path from 'node:path';
import { copyCallable } from '../demo/act.js';
import { downstreamVariables, writeSettings } from '../demo/downstream.js';
import { projectRoot } from '../sandbox/project.js';
import { makeImageDirectory, startSandbox } from '../sandbox/sandbox.js';

/** The servers of the tutorial: starts them, writes act's files, says what to paste, and stays up until Ctrl-C. */

const { info, stop } = await startSandbox((line) => console.log(line));
const settings = path.join(info.directory, 'tutorial');
const directory = await makeImageDirectory(info.imageServer, 'tutorial');
await writeSettings(info, downstreamVariables(info, 'master', directory, 'tutorial/daemon'), settings);
await copyCallable(path.join(settings, 'callable'));
console.log(`The servers are up until you press Ctrl-C, which deletes their data. Paste this into another terminal:

export ACTIONS='${projectRoot}'
export SETTINGS='${settings}'
export SERVER_URL='${directory.url}'
export REGISTRY='${info.source.host}'
export PATH="${path.dirname(info.tools.act)}:$PATH"
`);
// The timer keeps this process up: the servers' handles do not.
const timer = setInterval(() => undefined, 60_000);
await new Promise((resolve) => process.once('SIGINT', resolve));
clearInterval(timer);
await stop();
