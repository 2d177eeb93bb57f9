#!/usr/bin/env bash
# Put your deployment and its tests here. This only checks that the variables name the candidate's digest.
set -euo pipefail

cat ceph.yml
grep --quiet --fixed-strings "docker_ceph_digest: \"$DIGEST\"" ceph.yml
