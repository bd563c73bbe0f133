"""Names and blobs: who shares what, what rm leaves, revisions, renamed repositories, damage found later."""
import json
import os

from hub.harness import Home
from hub.models import checkout, gguf_bytes
from hub_double import File, HubDouble, Repository


def shared(t):
    hub = HubDouble()
    same, config = gguf_bytes(300000), {"config.json": b'{"same": 1}'}
    for name in ("acme/One-GGUF", "other/Two-GGUF"):
        hub.add(Repository(name, {"m-q8_0.gguf": same, "m-q4_0.gguf": gguf_bytes(2000, len(name))} | config))
    home = Home(hub)
    home.pull("acme/One-GGUF:q8_0")
    mark = hub.mark()
    r = home.pull("other/Two-GGUF:q8_0", "--json")
    t.claim("a blob that is there is not downloaded for another repository", r.status == 0 and hub.sent(mark) == 0
            and (r.json() or {}).get("downloaded_bytes") == 0 and len(home.blobs()) == 1, r)
    home.pull("acme/One-GGUF:q4_0")
    t.claim("three names are listed", sorted(home.listed()) == ["one:q4_0", "one:q8_0", "two:q8_0"], home.listed())
    r = home.run("run", "one", "x")
    t.claim("a name with two quantizations is told with both", r.one_line("q4_0", "q8_0"), r)
    for arguments in (("rm",), ("rm", "nothing"), ("show", "nothing"), ("rm", "../.."), ("rm", "/"), ("rm", "one:../q8_0")):
        r = home.run(*arguments)
        t.claim(f"{' '.join(arguments)} is told in one line", r.status == (2 if arguments == ("rm",) else 1)
                and r.err.count("\n") == 1 and len(home.listed()) == 3, r)
    r = home.run("rm", "one:q8_0")
    two = home.listed().get("two:q8_0", {})
    t.claim("rm keeps the blob that another name uses", r.status == 0 and
            home.content(two) == {"m-q8_0.gguf": File("", same).sha256} and len(home.blobs()) == 2, r, home.blobs())
    r = home.run("rm", "one:q4_0", "two:q8_0")
    t.claim("rm takes several names, and the last user's blob goes", r.status == 0 and home.empty()
            and not home.blobs(), r, home.blobs())
    left = [os.path.join(d, f) for d, _, names in os.walk(home.models) for f in names]
    t.claim("nothing but locks stays behind", all(os.path.basename(f) == "lock" or f.endswith(".lock") for f in left), left)
    hub.close()


def names(t):
    hub = HubDouble()
    hub.add(Repository("acme/Tiny", {"m-q8_0.gguf": gguf_bytes(2000, 1)}))
    hub.add(Repository("other/tiny-GGUF", {"m-q8_0.gguf": gguf_bytes(2000, 2)}))
    home = Home(hub)
    home.pull("acme/Tiny")
    mark = hub.mark()
    r = home.pull("other/tiny-GGUF")
    t.claim("a name that another repository has is refused, mentioning --name", r.one_line("--name") and
            hub.sent(mark) == 0 and home.listed()["tiny:q8_0"]["repo"] == "acme/Tiny", r)
    r = home.pull("other/tiny-GGUF", "--name", "second")
    t.claim("--name gives it another", r.status == 0 and r.out == "second:q8_0\n" and
            home.listed()["second:q8_0"]["repo"] == "other/tiny-GGUF", r)
    hub.add(Repository("google/Gemmula", {"m-q8_0.gguf": gguf_bytes(2000, 3)}))
    home.pull("google/Gemmula")
    r = home.run("run", "google/Gemmula", "x")
    t.claim("a pulled repository that could be a vendor's model is not guessed about: the error names it",
            r.one_line("gemmula"), r)
    hub.moved["acme/Former"] = "acme/Tiny"
    r = home.pull("acme/Former", "--name", "former")
    t.claim("a renamed repository is followed", r.status == 0 and "former:q8_0" in home.listed(), r)
    hub.close()


def revisions(t):
    hub = HubDouble()
    repository = hub.add(Repository("acme/rev", {"m-q8_0.gguf": gguf_bytes(2000, 1)}))
    first = repository.refs["main"]
    second = repository.commit({"m-q8_0.gguf": gguf_bytes(2000, 2)}, "v2", "refs/pr/7")
    home = Home(hub)
    for i, (revision, commit) in enumerate((("v2", second), ("refs/pr/7", second), (first, first), (second[:10], second))):
        r = home.pull("acme/rev", "--revision", revision, "--name", f"r{i}")
        entry = home.listed().get(f"r{i}:q8_0", {})
        t.claim(f"--revision {revision[:10]} is its commit", r.status == 0 and entry.get("commit") == commit
                and entry.get("revision") == revision, r, entry)
    asked = {q.target.split("/resolve/")[1].split("/")[0] for q in hub.requests if "/resolve/" in q.target}
    t.claim("files are asked for by commit, never by branch", asked == {first, second}, asked)
    for revision in ("v3", "../../x", "a b", "a?b#c", "%2e%2e", "x" * 3000):
        r = home.pull("acme/rev", "--revision", revision, "--name", "bad")
        t.claim(f"--revision {revision[:10]!r} is told in one line", r.status in (1, 2) and r.out == "" and
                r.err.count("\n") == 1 and len(r.err) < 600, r)
    hub.close()


def paths(t):
    """The store is where the variables say."""
    hub = HubDouble()
    hub.add(Repository("acme/m", {"m-q8_0.gguf": gguf_bytes(2000)}))
    home = Home(hub)
    for env, where in (({"HEARTH_HOME": None}, "home/.local/share/hearth/models"),
                       ({"HEARTH_HOME": None, "XDG_DATA_HOME": home.folder + "/xdg"}, "xdg/hearth/models"),
                       ({"HEARTH_HOME": home.folder + "/own dir", "XDG_DATA_HOME": home.folder + "/xdg"}, "own dir/models")):
        r = home.pull("acme/m", "--json", **env)
        t.claim(f"the store is {where}", r.status == 0 and
                (r.json() or {}).get("path", "").startswith(os.path.join(home.folder, where) + "/"), r)
    with open(home.folder + "/file", "w") as f:
        f.write("not a folder")
    for command in (("pull", "acme/m"), ("list",), ("rm", "m")):
        r = home.run(*command, HEARTH_HOME=home.folder + "/file")
        t.claim(f"{command[0]} with a file for a store is told in one line", r.one_line() or command == ("list",)
                and r.status == 0 and r.out == "", r)
    r = home.run("list")
    t.claim("list of no store at all is empty and good", r.status == 0 and r.out == "", r)
    j = home.run("list", "--json")
    t.claim("and as JSON", j.status == 0 and j.json() == [], j)
    hub.close()


MANIFESTS = [b"", b"{", b"[]", b"null", b"{}", b'{"files": 7}', b"\xff\xfe", b'{"repo": 1, "commit": [], "files": [{}]}',
             b"[" * 100000, b'{"files":[{"path":"../../../../etc/passwd","bytes":1,"sha256":"x"}]}']


def damaged(t):
    """A store that something else broke: commands tell, never crash, and a pull mends it."""
    hub = HubDouble()
    data = gguf_bytes(200000)
    repository = hub.add(Repository("acme/m", {"m-q8_0.gguf": data}))
    home = Home(hub)
    home.pull("acme/m")
    manifest = os.path.join(home.models, "names/m/q8_0.json")
    with open(manifest, "rb") as f:
        good = f.read()
    for i, text in enumerate(MANIFESTS):
        with open(manifest, "wb") as f:
            f.write(text)
        results = [home.run(*c) for c in (("list",), ("list", "--json"), ("show", "m:q8_0"), ("run", "m", "x"))]
        t.claim(f"broken manifest {i} is survived", all(r.status in (0, 1) and r.err.count("\n") <= 2 for r in results),
                *results)
    again = home.pull("acme/m")
    t.claim("a pull writes a broken manifest anew", again.status == 0 and json.loads(good)["files"] ==
            json.load(open(manifest))["files"], again)
    blob = os.path.join(home.models, "blobs/sha256-" + repository.files()[0].sha256)
    os.unlink(blob)
    entry = home.listed()["m:q8_0"]
    os.unlink(os.path.join(entry["path"], "m-q8_0.gguf") if os.path.isdir(entry["path"]) else entry["path"])
    again = home.pull("acme/m")
    t.claim("a pull fetches what was deleted", again.status == 0 and not home.honest() and
            home.content(home.listed()["m:q8_0"]) == {"m-q8_0.gguf": repository.files()[0].sha256}, again)
    os.truncate(blob, 1000)
    again = home.pull("acme/m")
    t.claim("a pull fetches a blob that was cut", again.status == 0 and not home.honest() and
            home.content(home.listed()["m:q8_0"]) == {"m-q8_0.gguf": repository.files()[0].sha256}, again)
    hub.close()


def odd_names(t):
    """Names that need care on the way, and are good."""
    hub = HubDouble()
    files = {n: d for n, d in checkout().items() if not n.startswith("model")}
    for n in ("model a+b%20#1?.safetensors", "m\u00f6del-\u65e5\u672c.safetensors", "a&b=c;d'e.safetensors"):
        files[n] = gguf_bytes(1500, len(n))
    files["nothing.txt"] = b""
    hub.small_redirects = True
    repository = hub.add(Repository("acme/odd", files))
    home = Home(hub)
    r = home.pull("acme/odd")
    t.claim("names with spaces, percent signs, quotes and letters of all languages arrive", r.status == 0 and
            home.content(home.listed()["odd"]) == {f.path: f.sha256 for f in repository.files()}, r)
    hub.close()
