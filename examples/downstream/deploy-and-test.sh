#!/usr/bin/env bash
# Your deployment and its tests come here. This only holds the variables that they are given against the candidate's digest.
set -euo pipefail

cat ceph.yml
grep --quiet --fixed-strings "docker_ceph_digest: \"$DIGEST\"" ceph.yml
