/**
 * Names of Ceph's releases by major version (docs.ceph.com, "Ceph Releases"). A newer release is called by its number.
 */
export const CEPH_RELEASES: Readonly<Record<string, string>> = {
  10: 'jewel',
  11: 'kraken',
  12: 'luminous',
  13: 'mimic',
  14: 'nautilus',
  15: 'octopus',
  16: 'pacific',
  17: 'quincy',
  18: 'reef',
  19: 'squid',
  20: 'tentacle',
  21: 'umbrella',
};
