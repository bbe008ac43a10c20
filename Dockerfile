# Skein as one image: `ROLE` says what a container of it does. Built in two stages, so that neither the tools that
# generate code nor the tests are in it.
FROM node:24-bookworm-slim AS build
WORKDIR /skein
COPY . .
# Packages by the lockfile, the generated code, and the playground.
RUN node src/setup/prepare.mjs

# What only development needs goes again, and what a server is made of is put together.
RUN node src/setup/drop-dev-packages.mjs \
 && mkdir -p image/prisma \
 && mv package.json LICENSE src dist node_modules image/ \
 && mv prisma/migrations image/prisma/ \
 && rm -r image/src/setup

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /skein
COPY --from=build /skein/image .
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 4000}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself, not npm: it is the one that gets SIGTERM, and hands its runs back.
CMD ["node", "src/main.ts"]
