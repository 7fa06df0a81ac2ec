# The relay as an image: `docker build -t deaddrop .`, or `docker compose up`, which builds it too.
#
# Debian 13 (trixie) because its glibc, 2.41, is new enough for uWebSockets.js (which needs 2.38), and because it
# packages libsecp256k1, the fastest of the relay's signature verifiers.
FROM node:24-trixie-slim AS base
WORKDIR /app


FROM base AS build

# The lock file alone first: a change in src/ does not install everything again.
# No install scripts: every native package the relay uses comes prebuilt, and the development dependency `node`, whose
# script fetches a second runtime, is not needed where the image itself is Node 24.
# `install`, not `ci`: both keep to the lock file's versions, but `ci` refuses one that does not list the optional
# binaries of every other platform, and npm writes such files (npm/cli issue 4828).
COPY package.json package-lock.json ./
RUN npm install --ignore-scripts --no-audit --no-fund

COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

# uWebSockets.js is not on the npm registry, so it is left out unless asked for, by upstream's Git tag:
#     docker build --build-arg UWS=v20.67.0 -t deaddrop .     and run it with DEADDROP_TRANSPORT=uws
# Upstream's releases have a Node 24 binary from v20.52.0 on; v20.67.0 is for Node 22, 24 and 26. Others may drop it
# again: the last line loads the binary, so a tag that has none for this Node fails here and not in production.
# A tag carries the binaries of every platform; only the one for this Node is kept.
ARG UWS=""
# Git stays in this stage; why it is not pinned is said below.
# hadolint ignore=DL3008
RUN if [ -n "$UWS" ]; then \
      apt-get update \
      && apt-get install -y --no-install-recommends ca-certificates git \
      && rm -rf /var/lib/apt/lists/* \
      && npm install --no-save --omit=dev --ignore-scripts --no-audit --no-fund \
           "uWebSockets.js@github:uNetworking/uWebSockets.js#$UWS" \
      && find node_modules/uWebSockets.js -name 'uws_*.node' \
           ! -name "$(node -p '["uws", process.platform, process.arch, process.versions.modules].join("_")').node" \
           -delete \
      && node -e 'require("uWebSockets.js")'; \
    fi


FROM base

LABEL org.opencontainers.image.title="deaddrop" \
      org.opencontainers.image.description="A Nostr relay that holds private messages only until they are picked up" \
      org.opencontainers.image.licenses="MIT"

# Not pinned: Debian keeps only a release's newest version of a package, so a pinned one stops building at the next fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libsecp256k1-2 \
    && rm -rf /var/lib/apt/lists/*

# A new named volume takes over owner and mode of the folder it covers; without this it would belong to root.
RUN install -d -o node -g node -m 0700 /data

COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist

# Inside a container 127.0.0.1 reaches nobody; who may connect is decided by the published port.
ENV NODE_ENV=production \
    DEADDROP_LISTEN=0.0.0.0:7777 \
    DEADDROP_DATA=/data

# The user `node` of the base image, as numbers: orchestrators that refuse root cannot read a name.
USER 1000:1000
VOLUME /data
EXPOSE 7777

# SIGTERM drains: what is pending is written and answered, then the process ends within 5 s.
STOPSIGNAL SIGTERM

# Asked by Node, since the image has no curl; on whatever port DEADDROP_LISTEN names first.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.DEADDROP_LISTEN.match(/:([0-9]+)( |,|$)/)[1] + '/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# The young generation of the heap is what an idle relay keeps beside its connections; larger ones make nothing faster.
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/dist/main.js"]
CMD ["serve"]
