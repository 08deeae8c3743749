#!/bin/sh
# Parses and evaluates flake.nix: every output down to its derivation, for every system, offline.
# nixpkgs is a stub with the few names that the flake uses, so this finds slips in the flake, not in what it builds.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work" NIX_STORE_DIR="$work/store" NIX_STATE_DIR="$work/state" NIX_LOG_DIR="$work/log" NIX_CONF_DIR="$work/conf"

mkdir -p "$work/nixpkgs" "$work/lockstep" "$work/conf"
echo "build-users-group =" > "$work/conf/nix.conf"
cp "$root/flake.nix" "$root/package.json" "$root/package-lock.json" "$work/lockstep/"

cat > "$work/nixpkgs/flake.nix" <<'NIX'
{
  outputs = { self }: rec {
    lib = {
      genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
      filterAttrs = keep: set:
        removeAttrs set (builtins.filter (name: !keep name set.${name}) (builtins.attrNames set));
      hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
      importJSON = path: builtins.fromJSON (builtins.readFile path);
      licenses.mit = "MIT";
    };
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (system:
      let
        make = name: attributes:
          derivation ({ inherit name system; builder = "/bin/sh"; } // removeAttrs attributes [ "meta" ]);
      in {
        stdenv.hostPlatform = { inherit system; };
        nodejs_24 = make "nodejs" { };
        postgresql_18 = make "postgresql" { };
        mkShell = make "shell";
        buildNpmPackage = { pname, version, src, npmDeps, npmConfigHook, ... }@attributes:
          make "${pname}-${version}" attributes;
        importNpmLock = {
          __functor = _: { npmRoot, package, packageLock }:
            assert !(package ? workspaces) && packageLock.packages ? "node_modules/effect";
            assert !(packageLock.packages ? "tools/node");
            make "npm-deps" { lock = builtins.toJSON packageLock; };
          npmConfigHook = make "npm-config-hook" { };
        };
      });
  };
}
NIX

evaluate() {
  nix --extra-experimental-features "nix-command flakes" eval --offline --raw --no-write-lock-file \
    --override-input nixpkgs "path:$work/nixpkgs" "path:$work/lockstep#$1" 2> "$work/error" ||
    { cat "$work/error" >&2; exit 1; }
  echo " is $1"
}

nix-instantiate --parse "$root/flake.nix" > /dev/null
for system in x86_64-linux aarch64-linux aarch64-darwin; do
  evaluate "packages.$system.default.drvPath"
  evaluate "apps.$system.default.program"
  evaluate "devShells.$system.default.drvPath"
done
