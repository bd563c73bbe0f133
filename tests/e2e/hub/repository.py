"""Repositories as a Hugging Face hub has them: commits, files by git id or by SHA-256, and who may read them.

A file is small (git knows its content) or large (git knows a pointer, the content is known by its SHA-256). As on the
real hub, `blobId` of a large file is the git id of its *pointer*, so a client must not compare the content with it.
"""
import fnmatch
import hashlib
import json

LARGE = ("*.gguf", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.h5", "*.zip", "tokenizer.model")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class File:
    """One file at one commit. `sibling` overrides members of its entry in the API's answer (None removes one)."""

    def __init__(self, path, data, large=None, sibling=None):
        self.path, self.data, self.sibling = path, data, sibling or {}
        self.large = any(fnmatch.fnmatch(path, p) for p in LARGE) if large is None else large
        self.sha256 = sha256(data)
        self.pointer = (f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
                        f"size {len(data)}\n").encode()
        self.blob_id = git_id(self.pointer if self.large else data)
        self.etag = self.sha256 if self.large else self.blob_id

    def sibling_json(self):
        entry = {"rfilename": self.path, "blobId": self.blob_id, "size": len(self.data)}
        if self.large:
            entry["lfs"] = {"sha256": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        entry.update(self.sibling)
        return {k: v for k, v in entry.items() if v is not None}

    def tree_json(self):
        entry = {"type": "file", "oid": self.blob_id, "size": len(self.data), "path": self.path}
        if self.large:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return entry


class Repository:
    """`files` is {path: bytes} or a list of File, which may hold what no honest hub says (names twice, `../x`)."""

    def __init__(self, name, files, private=False, gated=False, readers=()):
        self.name, self.private, self.gated, self.readers = name, private, gated, set(readers)
        self.refs, self.commits = {}, {}
        self.commit(files)

    def commit(self, files, *refs):
        """A new commit; `refs` (default: main) point to it. Returns its id."""
        if isinstance(files, dict):
            files = [f if isinstance(f, File) else File(path, f) for path, f in files.items()]
        text = self.name + str(len(self.commits)) + json.dumps([f.sibling_json() for f in files])
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = files
        for ref in refs or ("main",):
            self.refs[ref] = commit
        return commit

    def resolve(self, revision):
        """The commit that a branch, tag or (shortened) commit names, or None."""
        if revision in self.refs:
            return self.refs[revision]
        found = [c for c in self.commits if len(revision) >= 7 and c.startswith(revision)]
        return found[0] if len(found) == 1 else None

    def files(self, revision="main"):
        return self.commits[self.resolve(revision)]

    def file(self, revision, path):
        return next((f for f in self.files(revision) if f.path == path), None)

    def info_json(self, commit, blobs):
        siblings = [f.sibling_json() if blobs else {"rfilename": f.path} for f in self.commits[commit]]
        return {"_id": commit[:24], "id": self.name, "modelId": self.name, "author": self.name.split("/")[0],
                "sha": commit, "lastModified": "2026-01-02T03:04:05.000Z", "private": self.private,
                "gated": "manual" if self.gated else False, "disabled": False, "downloads": 7, "likes": 1,
                "tags": ["gguf", "region:us"], "pipeline_tag": "text-generation", "library_name": "gguf",
                "cardData": {"license": "apache-2.0", "language": ["en", "zh"]}, "usedStorage": 12345,
                "createdAt": "2026-01-01T00:00:00.000Z", "siblings": siblings}

    def refused(self, token, metadata):
        """(status, X-Error-Code, message) if this token may not read it; metadata of gated ones is public."""
        if self.private and token not in self.readers:
            return (404 if token else 401), "RepoNotFound", "Repository not found"
        if self.gated and not metadata and token not in self.readers:
            words = "you are not in the authorized list" if token else "you must be authenticated to access it"
            return (403 if token else 401), "GatedRepo", f"Access to model {self.name} is restricted and {words}."
        return None
