"""The addresses that the double knows: the API, `resolve`, and the host of large files behind it."""
import json
import re
from urllib.parse import quote

API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/((?:refs/[a-z]+/)?[^/]+)/(.+)", re.S)
CACHED = re.compile(r"/api/resolve-cache/models/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", re.S)
BLOB = re.compile(r"/repos/9f/([0-9a-f]{64})")


class Routes:
    """Mixed into the request handler, which has answer(), error(), misbehave() and send_file()."""

    def route(self, hub, path):
        if self.server.name == "cdn" or BLOB.fullmatch(path):
            return self.get_blob(hub, path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in hub.tokens:
            return self.error(401, None, "Invalid credentials in Authorization header")
        if cached := CACHED.fullmatch(path):
            file = hub.repositories[cached[1]].file(cached[2], cached[3])
            return self.send_file(file, {"X-Repo-Commit": cached[2]})
        if api := API.fullmatch(path):
            return self.get_api(hub, api[1], api[2], api[3] or "main", token)
        resolve = RESOLVE.fullmatch(path)
        if hub.anything and not (resolve and resolve[1] in hub.repositories and
                                 hub.repositories[resolve[1]].resolve(resolve[2]) and
                                 hub.repositories[resolve[1]].file(resolve[2], resolve[3])):
            return self.send_file(hub.anything, {})
        if resolve:
            return self.get_resolve(hub, resolve[1], resolve[2], resolve[3], token)
        return self.error(404, None, "Sorry, we can't find the page you are looking for.")

    def repository(self, hub, name, token, metadata):
        """The repository, or None after an answer that says why not."""
        if name in hub.moved:
            self.answer(307, {"Location": quote(self.path.replace(name, hub.moved[name], 1), "/?=&%")})
            return None
        repository = hub.repositories.get(name)
        if repository is None:
            self.error(404 if token else 401, "RepoNotFound", "Repository not found" if token
                       else "Invalid username or password.")
            return None
        refused = repository.refused(hub.tokens.get(token), metadata)
        if refused:
            self.error(*refused)
            return None
        return repository

    def get_api(self, hub, name, kind, revision, token):
        fault = hub.faults.take("api", self.path, False)
        if fault and self.misbehave(fault):
            return
        repository = self.repository(hub, name, token, metadata=True)
        if not repository:
            return
        commit = repository.resolve(revision)
        if not commit:
            return self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if kind == "tree":
            value = [f.tree_json() for f in repository.files(commit)]
        else:
            value = repository.info_json(commit, "blobs=true" in self.path.lower())
        self.answer(200, {"X-Repo-Commit": commit, "Set-Cookie": hub.cookie}, json.dumps(value).encode(), fault)

    def get_resolve(self, hub, name, revision, path, token):
        repository = self.repository(hub, name, token, metadata=False)
        if not repository:
            return
        commit = repository.resolve(revision)
        if not commit:
            return self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        file = repository.file(commit, path)
        if not file:
            return self.error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        self.request_record.path = path
        fault = hub.faults.take("resolve", path, self.headers.get("Range") is not None)
        if fault and self.misbehave(fault):
            return
        linked = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(file.data)), "X-Linked-ETag": f'"{file.etag}"',
                  "Accept-Ranges": "bytes"}
        if file.large:
            hub.blobs[file.sha256] = file
            return self.answer(302, dict(linked, Location=hub.cdn_url + hub.sign(file.sha256)), b"", fault)
        if hub.small_redirects:
            cached = f"/api/resolve-cache/models/{name}/{commit}/{quote(path)}?etag=%22{file.etag}%22"
            return self.answer(307, dict(linked, Location=cached), b"", fault)
        self.send_file(file, {"X-Repo-Commit": commit, "Content-Type": "text/plain; charset=utf-8"})

    def get_blob(self, hub, path):
        """A large file on the other host, which knows no tokens: the address itself is the permission."""
        blob = BLOB.fullmatch(path)
        if self.headers.get("Authorization") and self.server.name != "hub":
            return self.error(400, None, "Only one auth mechanism allowed")
        if not blob or blob[1] not in hub.blobs or not hub.signed(self.path):
            return self.answer(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
        self.send_file(hub.blobs[blob[1]], {})
