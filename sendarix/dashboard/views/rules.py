"""Routing rules: those in force with their hits, the editor, and the versions with what each changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Route, RuleSet
from messaging.routes import hits, registry, rules
from messaging.views.routing_shapes import RuleSetShape
from sendarix.core import pagination, shapes
from sendarix.core.errors import ApiError, ValidationFailed
from sendarix.dashboard import wording
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.rule_forms import Editor

SHOWN = 50
"""Versions of one page."""

CONDITIONS: dict[str, str | Promise] = {
    "tiers": gettext_lazy("tier"),
    "providers": gettext_lazy("provider"),
    "domains": gettext_lazy("domain"),
    "destinations": gettext_lazy("destination"),
    "templates": gettext_lazy("template"),
    "tags": gettext_lazy("tag"),
    "sender_domains": gettext_lazy("sender"),
    "keys": gettext_lazy("key"),
    "larger_than": gettext_lazy("larger than"),
    "smaller_than": gettext_lazy("smaller than"),
}


def conditions(when: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is asked, and of which values, in words."""
    return [
        (str(words), ", ".join(map(str, when[name])) if isinstance(when[name], list) else f"{when[name]:,} B")
        for name, words in CONDITIONS.items()
        if when.get(name) not in (None, [])
    ]


def told(rule: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A stored rule as pages show it; `names` are those of routes by id."""
    then = rule["then"]

    def routes(stage: str) -> list[tuple[str, int]]:
        return [(names.get(one["route"], one["route"]), one.get("weight", 100)) for one in then.get(stage, ())]

    return {
        "id": rule["id"],
        "name": rule["name"],
        "enabled": rule.get("enabled", True),
        "conditions": conditions(rule["when"]),
        "routes": routes("routes"),
        "fallback": routes("fallback"),
        "hold": then.get("hold"),
        "reject": then.get("reject"),
    }


class RulePage(Page):
    section = "routing"

    @property
    def account_id(self) -> int:
        return self.visit.account.pk

    @property
    def routes(self) -> list[Route]:
        return list(registry.visible(self.account_id).order_by("name", "id"))

    @property
    def names(self) -> dict[str, str]:
        return {route.id: route.name for route in self.routes}


class Rules(RulePage):
    actions = {"GET": "routing.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        live, names, found = rules.published(self.account_id), self.names, hits.of_account(self.account_id)
        newest = rules.versions(self.account_id).first()
        shown = [told(rule, names) | {"hits": found.counts.get(rule["id"], 0)} for rule in (live.rules if live else [])]
        context = {
            "tab": "rules",
            "live": live,
            "rules": shown,
            "hits": found,
            "unruled": found.counts.get("", 0),
            "draft": newest if newest and (live is None or newest.version > live.version) else None,
        }
        return self.render("dashboard/routing/rules.html", context)


class RuleEditor(RulePage):
    """Shows rules to be edited; its buttons move them, keep a draft or publish."""

    actions = {"GET": "routing.write", "POST": "routing.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = request.GET.get("version", "")
        numbered = wanted.isascii() and wanted.isdecimal() and len(wanted) < 9
        start = rules.version(self.account_id, int(wanted)) if numbered else rules.published(self.account_id)
        editor = Editor.of(start.rules if start else (), self.routes)
        if not editor.forms:
            editor.change("add")
        return self._show(editor, start.version if start else 0)

    def post(self, request: HttpRequest) -> HttpResponse:
        do = request.POST.get("do", "")
        base = request.POST.get("base", "0")
        number = int(base) if base.isascii() and base.isdecimal() and len(base) < 9 else 0
        saves = do in ("draft", "publish")
        editor = Editor.sent(request.POST, self.routes, bound=saves)
        if not saves:
            editor.change(do)
            return self._show(editor, number)
        made = self._save(editor, number, publish=do == "publish")
        if not isinstance(made, RuleSet):
            return self._show(editor, number, made, 422)
        text = _("Version %(number)s is in force.") if made.published else _("Version %(number)s is kept as a draft.")
        messages.success(request, text % {"number": made.version})
        return self.to("routing-rules") if made.published else self.to("rule-version", made.version)

    def _save(self, editor: Editor, base: int, *, publish: bool) -> RuleSet | list[str]:
        """The new version, or what is wrong that no single rule is to blame for."""
        payload = editor.payload()
        if payload is None:
            return []
        note = self.request.POST.get("note", "").strip()
        try:
            asked = shapes.validate(
                RuleSetShape, {"rules": payload, "note": note, "base_version": base, "publish": publish}
            )
            return rules.save(
                self.account_id,
                [rule.model_dump(exclude_none=True) for rule in asked.rules],
                note=asked.note,
                base=asked.base_version,
                publish=asked.publish,
                actor=self.visit.actor,
            )
        except ValidationFailed as refused:
            return editor.refuse(refused)
        except ApiError as refused:
            return [wording.refusal(refused)]

    def _show(self, editor: Editor, base: int, faults: Sequence[str] = (), status: int = 200) -> HttpResponse:
        wrong = status != 200
        context = {
            "forms": editor.forms,
            "base": base,
            "note": self.request.POST.get("note", ""),
            "faults": faults,
            "wrong": wrong,
            "last": len(editor.forms),
        }
        return self.render("dashboard/routing/editor.html", context, status)


class Versions(RulePage):
    actions = {"GET": "routing.view"}

    def get(self, request: HttpRequest) -> HttpResponse:
        found = rules.versions(self.account_id).defer("rules")
        if cursor := request.GET.get("cursor"):
            (last,) = pagination.decode_cursor(cursor, 1)
            found = found.filter(version__lt=pagination.cursor_part(pagination.number, last))
        page = pagination.page(
            list(found[: SHOWN + 1]), SHOWN, lambda row: pagination.encode_cursor(row.version), lambda row: row
        )
        context = {"tab": "rules", "versions": page["data"], "next_cursor": page["next_cursor"]}
        return self.render("dashboard/routing/versions.html", context)


class Version(RulePage):
    """One version, with what it changed and what publishing it would change. POST publishes it: the roll-back."""

    actions = {"GET": "routing.view", "POST": "routing.write"}

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(number)

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        try:
            made = rules.publish(self.account_id, number, self.visit.actor)
        except ValidationFailed as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("rule-version", number)
        messages.success(request, _("Version %(number)s is in force.") % {"number": made.version})
        return self.to("routing-rules")

    def _show(self, number: int) -> HttpResponse:
        found, names = rules.version(self.account_id, number), self.names
        before = rules.versions(self.account_id).filter(version__lt=number).first()
        live = rules.published(self.account_id)
        context = {
            "version": found,
            "rules": [told(rule, names) for rule in found.rules],
            "changes": changed(before.rules if before else (), found.rules, names),
            "before": before,
            "live": live,
            "would_change": changed(live.rules, found.rules, names) if live and live.version != number else None,
        }
        return self.render("dashboard/routing/version.html", context)


def changed(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, Any]:
    """rules.diff with the rules in words; `same` when nothing differs."""
    found = rules.diff(before, after)
    old = {rule["id"]: rule for rule in before}
    new = {rule["id"]: rule for rule in after}
    return {
        "added": [(one["position"], told(one["rule"], names)) for one in found["added"]],
        "removed": [(one["position"], told(one["rule"], names)) for one in found["removed"]],
        "changed": [(told(old[one["id"]], names), told(new[one["id"]], names)) for one in found["changed"]],
        "moved": found["moved"],
        "same": not any(found.values()),
    }


urlpatterns = [
    path("routing/rules", Rules.as_view(), name="routing-rules"),
    path("routing/rules/edit", RuleEditor.as_view(), name="rule-editor"),
    path("routing/rules/versions", Versions.as_view(), name="rule-versions"),
    path("routing/rules/versions/<int:number>", Version.as_view(), name="rule-version"),
]
