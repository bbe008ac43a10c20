# Skein as one image: `ROLE` says what a container of it does. Built in two stages, so that neither the tools that
# generate code nor the tests are in it.
FROM node:24-bookworm-slim AS build
WORKDIR /skein
COPY . .
# Packages by the lockfile, then the generated code; what only development needs goes again. The Node that comes as a
# package is for machines that have none.
RUN node src/setup/prepare.mjs \
 && npm prune --omit=dev --ignore-scripts \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node test docker .ci

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /skein
COPY --from=build /skein .
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 4000}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself, not npm: it is the one that gets SIGTERM, and hands its runs back.
CMD ["node", "src/main.ts"]
