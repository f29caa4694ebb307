"""A WSGI application for the web worker's tests: says ok, echoes, answers at length, or breaks."""


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/large":
        body = b"x" * 8_000_000
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
