"""People who look at the pages of an account, each with a browser of their own that keeps cookies and runs no script."""

from typing import Any

from django.http import HttpResponse
from django.test import Client

from sendarix.accounts.models import Account, User


class Visitor:
    """A person logged in, at the pages of one account and environment. Paths are those after /app/ACCOUNT/ENVIRONMENT/."""

    def __init__(self, user: User, account: Account, environment: str = "live") -> None:
        self.user, self.account, self.environment = user, account, environment
        self.client = Client()
        self.client.force_login(user)

    def at(self, account: Account | None = None, environment: str = "live") -> "Visitor":
        """The same person, with the same cookies, elsewhere."""
        other = Visitor.__new__(Visitor)
        other.__dict__ = self.__dict__ | {"account": account or self.account, "environment": environment}
        return other

    def url(self, path: str = "") -> str:
        return f"/app/{self.account.slug}/{self.environment}/{path}"

    def get(self, path: str = "", **query: Any) -> HttpResponse:
        return self.client.get(self.url(path), query)

    def post(self, path: str, fields: dict[str, Any] | None = None) -> HttpResponse:
        return self.client.post(self.url(path), fields or {})

    def sent(self, path: str, fields: dict[str, Any] | None = None) -> str:
        """POST a form that is fine, follow the redirect, and return the page that comes after it."""
        answer = self.client.post(self.url(path), fields or {}, follow=True)
        assert answer.redirect_chain, (answer.status_code, answer.content.decode()[:4000])
        assert answer.status_code == 200, answer.status_code
        return answer.content.decode()

    def page(self, path: str = "", **query: Any) -> str:
        """The HTML of a page that is there."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (answer.status_code, self.url(path))
        return answer.content.decode()
