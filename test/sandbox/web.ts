import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tools } from './install.js';
import { type ServerProcess, startServer } from './process.js';

export interface Web extends ServerProcess {
  /** `http://127.0.0.1:port` */
  readonly url: string;
}

export interface WebOptions {
  readonly tools: Tools;
  readonly directory: string;
  /** What is served. */
  readonly root: string;
}

/** nginx over a directory, like an image server: plain files, symlinks followed, no listings. */
export async function startWeb({ tools, directory, root }: WebOptions): Promise<Web> {
  await mkdir(directory, { recursive: true });
  const server = await startServer({
    name: 'nginx',
    directory,
    command: async (port) => {
      const config = join(directory, 'nginx.conf');
      await writeFile(config, nginxConfig(port, root));
      return [tools.nginx, '-p', directory, '-e', 'stderr', '-c', config];
    },
  });
  return { ...server, url: `http://127.0.0.1:${server.port}` };
}

function nginxConfig(port: number, root: string): string {
  // The workers of a root's nginx would be another user, who may not read below our directory.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
daemon off;
${user}
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {}
http {
  access_log /dev/stderr;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type text/plain;
  types {
    text/html html;
    application/json json;
    text/css css;
    image/svg+xml svg;
  }
  server {
    listen 127.0.0.1:${port};
    location / { root "${root}"; }
  }
}
`;
}
