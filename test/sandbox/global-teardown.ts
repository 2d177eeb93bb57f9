/** jest's globalTeardown. */
export { stopRunning as default } from './global-setup.js';
