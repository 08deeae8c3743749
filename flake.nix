{
  description = "Lockstep serves transpiled ES modules from many replicas as if they were one.";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forEachSystem = perSystem: lib.genAttrs systems (system: perSystem nixpkgs.legacyPackages.${system});

      manifest = lib.importJSON ./package.json;
      lock = lib.importJSON ./package-lock.json;

      # The workspaces bring npm's own Node, and Nix has one.
      isWorkspace = path: lib.hasPrefix "tools/" path || lib.hasPrefix "node_modules/@lockstep/" path;
      withoutWorkspaces = package: removeAttrs package [ "workspaces" ];
      lockedPackages =
        lib.filterAttrs (path: _: !isWorkspace path) lock.packages
        // {
          "" = withoutWorkspaces lock.packages."";
        };
    in
    {
      packages = forEachSystem (pkgs: rec {
        default = lockstep;
        lockstep = pkgs.buildNpmPackage {
          pname = manifest.name;
          version = manifest.version;
          src = self;
          nodejs = pkgs.nodejs_24;

          # The lock's own hashes vouch for the dependencies: no second hash to keep in step.
          npmDeps = pkgs.importNpmLock {
            npmRoot = ./.;
            package = withoutWorkspaces manifest;
            packageLock = lock // { packages = lockedPackages; };
          };
          npmConfigHook = pkgs.importNpmLock.npmConfigHook;
          npmFlags = [ "--ignore-scripts" ];

          # The embedded PostgreSQL is built for Debian and its kin. On NixOS give the program a --database-url.
          meta = {
            description = manifest.description;
            license = lib.licenses.mit;
            mainProgram = "lockstep";
          };
        };
      });

      apps = forEachSystem (pkgs: rec {
        default = lockstep;
        lockstep = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.lockstep}/bin/lockstep";
        };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_24
            pkgs.postgresql_18
          ];
          # The npm scripts' `node`, in place of the registry's, which NixOS cannot start.
          LOCKSTEP_NODE = "${pkgs.nodejs_24}/bin/node";
        };
      });
    };
}
