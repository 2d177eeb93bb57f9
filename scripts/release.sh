#!/usr/bin/env bash
# The steps of .github/workflows/release.yml:
#   check    the tag is of this version, on the default branch, and has a section in the changelog
#   compare  what was built is what is committed
#   files    writes release/: notes, SBOM of what is in the bundles, checksums of the bundles
#   publish  makes the release by the forge's API, and moves the major tag
# Off a tag, check looks at the version that a release of this state would have.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(node --print "require('./package.json').version")
fail() {
  echo "::error::$*"
  exit 1
}

# The changelog's section of a version; before a release, what is unreleased.
notes() {
  awk -v heading="## $1" '$0 == heading || index($0, heading " ") == 1 { on = 1; next } /^## / { on = 0 } on' CHANGELOG.md
}

check() {
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "package.json: version $version is not of the form X.Y.Z"
  if [[ ${GITHUB_REF:-} != refs/tags/* ]]; then
    [[ -n $(notes "$version")$(notes Unreleased) ]] || fail "CHANGELOG.md: neither a section $version nor Unreleased"
    echo "not on a tag: would release v$version"
    return
  fi
  [[ $GITHUB_REF == "refs/tags/v$version" ]] || fail "tag ${GITHUB_REF#refs/tags/}: package.json has version $version"
  [[ -n $(notes "$version") ]] || fail "CHANGELOG.md: no section $version"
  git merge-base --is-ancestor HEAD "origin/${DEFAULT_BRANCH:-main}" ||
    fail "tag v$version: is not on the default branch ${DEFAULT_BRANCH:-main}"
}

compare() {
  local changed
  changed=$(git status --porcelain)
  [[ -z $changed ]] || fail "not committed as built: ${changed//$'\n'/,}"
  echo "dist, schemas, actions and references are what the source says"
}

files() {
  mkdir -p release
  notes "$version" >release/notes.md
  [[ -s release/notes.md ]] || notes Unreleased >release/notes.md
  # Not by --omit, which leaves out what both an action and a tool need. And without what differs from run to run, so
  # that whoever makes it again gets the same.
  # shellcheck disable=SC2016 # it is JavaScript
  npm sbom --package-lock-only --sbom-format cyclonedx | node --print '
    const { serialNumber, ...sbom } = JSON.parse(fs.readFileSync(0, "utf8"));
    const { packages } = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
    const bundled = Object.entries(packages)
      .filter(([, entry]) => !(entry.dev || entry.devOptional || entry.optional || entry.peer))
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, "")}@${version}`);
    const kept = sbom.components.filter((component) => bundled.includes(component["bom-ref"]));
    const references = new Set([sbom.metadata.component, ...kept].map((component) => component["bom-ref"]));
    const dependencies = sbom.dependencies
      .filter(({ ref }) => references.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => references.has(one)) }));
    const { timestamp, ...metadata } = sbom.metadata;
    metadata.component.name = packages[""].name;
    JSON.stringify({ ...sbom, metadata, components: kept, dependencies }, undefined, 2)' >release/sbom.cdx.json
  find dist -type f -name '*.js' -print0 | sort --zero-terminated | xargs --null sha256sum >release/SHA256SUMS
  echo "release/: $(wc --lines <release/SHA256SUMS) bundles' files, $(grep --count '"purl"' release/sbom.cdx.json) packages"
}

# Makes the release with its files: on GitHub by its own program, so that they are there when it becomes immutable;
# elsewhere by the API that Gitea and Forgejo have in common. Secrets are in no argument.
publish() {
  local tag="v$version" api="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY" id file
  local files=(release/sbom.cdx.json release/SHA256SUMS)
  if [[ $GITHUB_SERVER_URL == https://github.com ]]; then
    GH_TOKEN=$TOKEN gh release create "$tag" --verify-tag --title "$tag" --notes-file release/notes.md "${files[@]}"
  else
    id=$(node --print 'JSON.stringify({ tag_name: process.argv[1], name: process.argv[1],
        body: fs.readFileSync("release/notes.md", "utf8") })' "$tag" |
      call "$api/releases" --header 'Content-Type: application/json' --data-binary @- |
      node --print 'JSON.parse(fs.readFileSync(0, "utf8")).id')
    for file in "${files[@]}"; do
      call "$api/releases/$id/assets?name=${file#release/}" --form "attachment=@$file" >release/answer.json
    done
  fi
  echo "made release $tag"
  # The one tag that moves.
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$GITHUB_SERVER_URL/.extraheader" \
    GIT_CONFIG_VALUE_0="Authorization: basic $(printf 'x-access-token:%s' "$TOKEN" | base64 --wrap 0)" \
    git push --force "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" "HEAD:refs/tags/${tag%%.*}"
  echo "moved ${tag%%.*}"
}

call() {
  curl --fail-with-body --silent --show-error --header @<(printf 'Authorization: token %s' "$TOKEN") "$@"
}

case ${1:-} in
  check | compare | files | publish) "$1" ;;
  *) fail "usage: scripts/release.sh check|compare|files|publish" ;;
esac
