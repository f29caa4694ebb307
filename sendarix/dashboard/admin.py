"""Django's admin, for operators: people, accounts, keys and the audit log as they are stored. It only reads, because changes go
through services that write the audit log; the one exception locks a person out, and is written there too."""

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.db import transaction
from django.db.models import Model
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, ApiKey, AuditEntry, Membership, User
from sendarix.dashboard.pages import barred


class OperatorSite(AdminSite):
    """Behind the login of the pages, second factor and all; who is no operator finds nothing here."""

    site_header = site_title = "Sendarix"
    index_title = _("Records")
    site_url = "/operator/"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff and barred(request) is None)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        gate = barred(request)
        if gate is not None:
            return gate
        if not request.user.is_staff:
            raise Http404
        return super().login(request, extra_context)


site = OperatorSite(name="admin")


class Records(ModelAdmin):
    """Shown to every operator, changed by none."""

    actions = None
    show_full_result_count = False
    list_per_page = 50

    def has_module_permission(self, request: HttpRequest) -> bool:
        return site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Filters of the page only: by others, rows that come and go would tell a stored hash, sign by sign."""
        return lookup.removesuffix("__exact").removesuffix("__isnull") in self.list_filter

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The history is the audit log's."""
        raise Http404


class Accounts(Records):
    list_display = ("slug", "name", "plan", "rate_limit", "sender_policy", "timezone", "created_at")
    list_filter = ("plan", "sender_policy")
    search_fields = ("slug", "name")
    ordering = ("slug",)


class Users(Records):
    """`is_active` can be changed: it locks a person out of everything, at once."""

    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    ordering = ("email",)
    fields = ("email", "name", "language", "is_active", "is_staff", "is_superuser", "last_login", "date_joined")
    readonly_fields = tuple(name for name in fields if name != "is_active")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return site.has_permission(request) and (obj is None or obj.pk != request.user.pk)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        if "is_active" not in form.changed_data:
            return
        with transaction.atomic():
            obj.save(update_fields=["is_active"])
            actor = Actor(None, f"operator:{request.user.get_username()}")
            verb = "user.unlocked" if obj.is_active else "user.locked"
            audit.record(actor, verb, obj.email, {"is_active": not obj.is_active}, {"is_active": obj.is_active})

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The audit log has it."""


class Memberships(Records):
    list_display = ("user", "account", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "account")
    search_fields = ("user__email", "account__slug")
    ordering = ("-id",)


class ApiKeys(Records):
    list_display = ("id", "account", "livemode", "name", "last4", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("livemode",)
    list_select_related = ("account",)
    search_fields = ("=id", "=last4", "account__slug")
    ordering = ("-id",)
    exclude = ("digest",)


class AuditEntries(Records):
    list_display = ("at", "account", "actor", "action", "subject", "source")
    list_select_related = ("account",)
    search_fields = ("=actor", "=action", "=subject", "=request_id")
    ordering = ("-id",)


site.register(Account, Accounts)
site.register(User, Users)
site.register(Membership, Memberships)
site.register(ApiKey, ApiKeys)
site.register(AuditEntry, AuditEntries)
