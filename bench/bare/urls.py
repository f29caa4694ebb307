from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

TABLE = "CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, key text NOT NULL, body text NOT NULL)"


def take(request: HttpRequest) -> JsonResponse:
    """Keep the request durably (autocommit: the INSERT is the transaction) and say so."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bare (key, body) VALUES (%s, %s) RETURNING id",
            [request.headers["Idempotency-Key"], request.body.decode()],
        )
        (number,) = cursor.fetchone()
    answer = JsonResponse({"id": number, "status": "queued"}, status=202)
    answer["Content-Length"] = len(answer.content)  # or gunicorn answers in chunks
    return answer


urlpatterns = [path("take", take)]
