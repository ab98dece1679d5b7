import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuxSegNetError } from '../auxsegnet-error.js';
import { storageError } from './run-directory.js';

/**
 * Keeps other processes of this machine off a run directory, which is made where it is not there, until the returned
 * function is called or this process ends, however it ends: the claim is a socket, which the system closes after a kill
 * too, so that no lock is left behind. Where sockets cannot be made, and on other machines, nothing is kept off.
 *
 * Throws AuxSegNetError BAD_RUN_DIRECTORY where another one is at work, STORAGE where the folder cannot be made.
 */
export async function claimRunDirectory(root: string): Promise<() => Promise<void>> {
  await mkdir(root, { recursive: true }).catch((cause) => {
    throw storageError(root, cause);
  });
  // Not in the run directory: a socket's path is limited to about 100 characters.
  const name = `auxseg-${createHash('sha256')
    .update(await realpath(root))
    .digest('hex')
    .slice(0, 16)}`;
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
  let server = await listen(path);
  if (server === 'EADDRINUSE') {
    if (await answers(path)) {
      throw new AuxSegNetError(
        'BAD_RUN_DIRECTORY',
        `Expected to be alone in ${root}, but another auxseg is at work there; wait until it ends, stop it, or choose another --out.`,
        { root },
      );
    }
    // Left behind by a process that was killed.
    await rm(path, { force: true }).catch(() => undefined);
    server = await listen(path);
  }
  if (typeof server === 'string') return async () => undefined;
  const claim = server;
  return () => new Promise((resolve) => claim.close(() => resolve()));
}

/** A server that keeps no process alive, or the system's code of why there is none. */
function listen(path: string): Promise<Server | string> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
    server.listen(path, () => resolve(server.unref()));
  });
}

/** Whether a process listens there; the system says so even while that process computes. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
