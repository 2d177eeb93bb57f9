/** True for a host name that means this machine. As in `URL.hostname`, IPv6 addresses are in brackets. */
export function isLoopback(hostname: string): boolean {
  return (
    /^(?:.+\.)?localhost$/.test(hostname) ||
    // 0.0.0.0 and [::] as a destination reach this machine too; ::ffff:7f.. is 127.* mapped into IPv6.
    /^(?:127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\]|\[::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)\])$/.test(hostname)
  );
}
