"""A container registry: blobs by digest, some by a redirect to a store that nginx follows itself, manifests by Accept, pushes with credentials."""
from harness.origin import Reply
from scripted import file, path_of, redirect
from site_walk import Framework
from steps import Step, crowd, get, head, post, purge

PUSHER = "Authorization: Basic YWxpY2U6c2VjcmV0"        # alice:secret
V2 = "Accept: application/vnd.docker.distribution.manifest.v2+json"
OCI = "Accept: application/vnd.oci.image.manifest.v1+json"
BLOB, MOVED, GONE = "/v2/library/debian/blobs/sha256:aaaa1111", "/v2/library/debian/blobs/sha256:bbbb2222", "/v2/library/debian/blobs/sha256:cccc3333"
MANIFEST = "/v2/library/debian/manifests/latest"
API = ("Docker-Distribution-Api-Version", "registry/2.0")


def blob(digest):
    return (f"layer {digest} ".encode() * 20000)[:200_000]


def app(site, request):
    path = path_of(request)
    if request.method in ("PUT", "POST", "PATCH", "DELETE"):
        site.version += 1
        return Reply(b"", status=201, reason="Created", headers=[API, ("Location", path)])
    if path == "/v2/":
        return Reply(b"{}", headers=[API, ("Content-Type", "application/json")])
    if path == MOVED:
        return redirect(f"http://{site.origins['storage'].address}/bucket/bbbb2222?X-Amz-Signature=x", API, status=307)
    if path == GONE:
        return Reply(b'{"errors":[{"code":"BLOB_UNKNOWN"}]}', status=404, headers=[API, ("Content-Type", "application/json")])
    if "/blobs/" in path:
        digest = path.rpartition("sha256:")[2]
        return file(request, blob(digest), API, ("Docker-Content-Digest", f"sha256:{digest}"),
                    ("Cache-Control", "max-age=31536000"), tag=f'"sha256:{digest}"')
    if "/manifests/" in path:
        kind = "application/vnd.oci.image.manifest.v1+json" if any("oci" in x for x in request.lines) else "application/vnd.docker.distribution.manifest.v2+json"
        body = f'{{"image":"{path}","type":"{kind}","v":"[[version {site.version}]]"}}'
        return Reply(body, headers=[API, ("Content-Type", kind), ("Docker-Content-Digest", "sha256:dddd")])
    return Reply(b'{"errors":[]}', status=404, headers=[API])


def storage(site, request):
    return file(request, blob("bbbb2222"), ("Server", "AmazonS3"), tag='"s3"')


FRAMEWORK = Framework(
    name="registry", origins={"app": app, "storage": storage}, files={"htpasswd": b"alice:{PLAIN}secret\n"},
    steps=[
        get("version", "/v2/"),
        get("version again", "/v2/"),
        get("manifest", MANIFEST, V2),
        get("manifest again", MANIFEST, V2),
        get("manifest of the other kind", MANIFEST, OCI),
        get("manifest of the other kind again", MANIFEST, OCI),
        head("head of a manifest", MANIFEST, V2),
        get("manifest of another image", MANIFEST.replace("debian", "alpine"), V2),
        get("manifest of another tag", MANIFEST.replace("latest", "12"), V2),
        get("blob", BLOB),
        get("blob again", BLOB),
        get("the same blob by another image", BLOB.replace("debian", "alpine")),
        head("head of a blob", BLOB),
        head("head of a cold blob", BLOB.replace("aaaa", "eeee")),
        get("that blob", BLOB.replace("aaaa", "eeee")),
        get("part of a blob", BLOB, "Range: bytes=1000-1999", may=(206,)),
        get("rest of a blob", BLOB, "Range: bytes=150000-", may=(206,)),
        get("part of a cold blob", BLOB.replace("aaaa", "ffff"), "Range: bytes=10-19", may=(206,)),
        get("all of it after that", BLOB.replace("aaaa", "ffff")),
        get("blob with a stranger's credentials", BLOB, "Authorization: Basic eDp5"),
        get("blob that is there", BLOB, 'If-None-Match: "sha256:aaaa1111"'),
        get("blob in the store", MOVED),
        get("blob in the store again", MOVED),
        get("part of the blob in the store", MOVED, "Range: bytes=5-9", may=(206,)),
        head("head of the blob in the store", MOVED),
        get("missing blob", GONE),
        get("missing blob again", GONE),
        Step("push as a stranger", MANIFEST, "PUT", body=b"{}"),
        get("manifest after that", MANIFEST, V2),
        Step("push", MANIFEST, "PUT", (PUSHER,), body=b"{}"),
        get("manifest after the push", MANIFEST, V2),
        get("manifest of another tag after the push", MANIFEST.replace("latest", "12"), V2),
        post("upload is begun", "/v2/library/debian/blobs/uploads/", PUSHER),
        get("manifest with credentials", MANIFEST, V2, PUSHER),
        get("client that is too old", "/v2/", "User-Agent: docker/1.3.0"),
        purge("purge of a manifest as a stranger", MANIFEST.replace("latest", "12"), expect=401),
        purge("purge of a manifest", MANIFEST.replace("latest", "12"), PUSHER),
        get("that manifest", MANIFEST.replace("latest", "12"), V2),
        purge("purge of a blob", BLOB),
        get("that blob by its URL", BLOB),
        crowd("many at once", BLOB.replace("aaaa", "7777"), "Authorization: Basic %s"),
    ])
