"""E-mail templates of the account: the list, the editor with its preview, languages, a test to oneself. Both environments share
them."""

import json
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import acceptance
from messaging.models import EmailTemplate, TemplateVersion
from messaging.preparation import prepare
from messaging.serializers import LOCALE
from messaging.templating import previewing, publishing, samples
from messaging.templating.previewing import Preview
from sendarix.core import pagination
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.forms import refuse
from sendarix.dashboard.framing import framed
from sendarix.dashboard.pages import Page
from sendarix.dashboard.views.template_forms import STARTS, EditorForm, NewForm, initial

SHOWN = 50
KINDS = {"template": gettext_lazy("Templates"), "layout": gettext_lazy("Layouts"), "partial": gettext_lazy("Partials")}
SAMPLES = "template_samples"
"""In the session: the sample data somebody typed, by template; of the latest few."""
KEPT_SAMPLES = 10


class LocaleForm(forms.Form):
    locale = forms.RegexField(LOCALE, label=gettext_lazy("Language"), max_length=20)


class TemplatePage(Page):
    section = "templates"

    def one(self, key: str) -> EmailTemplate:
        return publishing.one(self.visit.account.pk, key)

    def all(self) -> Any:
        return EmailTemplate.objects.filter(account=self.visit.account)


class Templates(TemplatePage):
    actions = {"GET": "templates.view", "POST": "templates.write"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewForm(initial={"kind": self._kind()}))

    def post(self, request: HttpRequest) -> HttpResponse:
        form, visit = NewForm(request.POST), self.visit
        if form.is_valid():
            key, kind = form.cleaned_data["key"], form.cleaned_data["kind"]
            try:
                publishing.create(visit.actor, visit.account.pk, key, kind, dict(STARTS[kind]), publish=False)
            except ApiError as refused:
                refuse(form, refused)
            else:
                return self.to("template", key)
        return self._show(form, 422)

    def _kind(self) -> str:
        kind = self.request.GET.get("kind", "template")
        return kind if kind in KINDS else "template"

    def _show(self, form: NewForm, status: int = 200) -> HttpResponse:
        kind = self._kind()
        found = self.all().filter(kind=kind).order_by("-id")
        if cursor := self.request.GET.get("cursor"):
            found = found.filter(id__lt=pagination.decode_cursor(cursor, 1)[0])
        page = pagination.page(list(found[: SHOWN + 1]), SHOWN, _cursor, lambda template: template)
        context = {
            "templates": page["data"],
            "next_cursor": page["next_cursor"],
            "form": form,
            "kinds": KINDS,
            "kind": kind,
        }
        return self.render("dashboard/templates/list.html", context, status)


def _cursor(template: EmailTemplate) -> str:
    return pagination.encode_cursor(template.pk)


class Editing(TemplatePage):
    """What the editor and its previews share: the template's newest version, one language of it, and the form."""

    template: EmailTemplate
    version: TemplateVersion
    locale: str

    def begin(self, key: str) -> None:
        self.template = self.one(key)
        self.version = publishing.version_of(self.template, self.template.latest_version)
        self.locale = self.request.GET.get("locale", "")
        if self.locale and self.locale not in self.version.variants:
            raise Http404

    def form(self, *args: Any, **kwargs: Any) -> EditorForm:
        layouts = self.all().filter(kind="layout", published_version__isnull=False).order_by("key")
        keys = list(layouts.values_list("key", flat=True)[:500])
        if self.version.layout and self.version.layout not in keys:
            keys.append(self.version.layout)
        return EditorForm(self.template, self.version, self.locale, keys, *args, **kwargs)

    def preview(self, form: EditorForm) -> Preview | None:
        """What the form's contents become with its sample data; None when something is wrong, and the form says what."""
        content = form.content()
        if content is None:
            return None
        locale = self.locale or self.version.default_locale
        try:
            return previewing.preview(self.template, form.draft(content), locale, form.cleaned_data["data"])
        except ApiError as refused:
            form.refuse(refused)
            return None

    def show(self, form: EditorForm, status: int = 200) -> HttpResponse:
        context = {
            "template": self.template,
            "version": self.version,
            "draft": self.version.number != self.template.published_version,
            "locale": self.locale,
            "locales": sorted(self.version.variants),
            "form": form,
            "locale_form": LocaleForm(),
            "query": f"?locale={self.locale}" if self.locale else "",
        }
        return self.render("dashboard/templates/editor.html", context, status)

    def back(self) -> HttpResponse:
        return self.to("template", self.template.key, **({"locale": self.locale} if self.locale else {}))


class Editor(Editing):
    """Saves the newest draft, making one when there is none; with `then` it publishes it, or sends it to whoever asks."""

    actions = {"GET": "templates.view", "POST": "templates.write"}

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        self.begin(key)
        kept = request.session.get(SAMPLES, {}).get(self.template.pk)
        data = kept or json.dumps(samples.sample(self.version), indent=2, ensure_ascii=False)
        return self.show(self.form(initial={**initial(self.version, self.locale), "data": data}))

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        self.begin(key)
        form, then = self.form(request.POST), request.POST.get("then", "")
        content = form.content()
        if content is not None and form.cleaned_data["seen"] not in ("", self.version.updated_at.isoformat()):
            form.add_error(
                None, _("Somebody else has saved it meanwhile. Open it again to see how; your text is below.")
            )
            content = None
        shown = self.preview(form) if content is not None and then == "test" else None
        if content is None or (then == "test" and shown is None):
            return self.show(form, 422)
        self._keep_sample(request.POST.get("data", ""))
        try:
            publishing.edit(self.visit.actor, self.visit.account.pk, key, content, publish=then == "publish")
        except ApiError as refused:
            form.refuse(refused)
            return self.show(form, 422)
        published = _("Published. Messages use it from now on.")
        messages.success(request, published if then == "publish" else _("Saved as a draft."))
        if shown is not None:
            self._send(shown)
        return self.back()

    def _send(self, shown: Preview) -> None:
        """A message like any other, to the person who asks."""
        try:
            self._accept(shown)
        except ApiError as refused:
            messages.error(self.request, _("The test was not sent: %(why)s") % {"why": wording.refusal(refused)})
        else:
            told = _("A test is on its way to %(email)s.") % {"email": self.visit.user.email}
            messages.success(self.request, told)

    def _accept(self, shown: Preview) -> None:
        payload = {
            "recipient": self.visit.user.email,
            "subject": f"[{_('Test')}] {shown.rendered.subject or self.template.key}",
            "html": shown.rendered.html,
            "text": shown.rendered.text,
            "from": self.version.default_sender or None,
            "tags": ["template-test"],
        }
        given = {name: value for name, value in payload.items() if value}
        prepared = prepare(given, self.visit.caller, datetime.now(UTC))
        acceptance.accept(self.visit.caller, [prepared], None, self.visit.request_id)

    def _keep_sample(self, text: str) -> None:
        session = self.request.session
        kept = {name: data for name, data in session.get(SAMPLES, {}).items() if name != self.template.pk}
        session[SAMPLES] = dict([*kept.items(), (self.template.pk, text)][-KEPT_SAMPLES:])


class Facts(Editing):
    """What the editor's contents become, beside the HTML: subject, text, warnings and faults. Nothing is stored."""

    actions = {"POST": "templates.write"}

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        self.begin(key)
        form = self.form(request.POST)
        return self.render("dashboard/templates/facts.html", {"shown": self.preview(form), "form": form})


class Frame(Editing):
    """The HTML the editor's contents become, alone, for the sandboxed frame."""

    actions = {"POST": "templates.write"}

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        self.begin(key)
        shown = self.preview(self.form(request.POST))
        return framed((shown.rendered.html or "") if shown else "")


class Locales(Editing):
    """Adds a language, with the default's parts to begin from, or takes one away."""

    actions = {"POST": "templates.write"}

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        self.begin(key)
        variants, removed = dict(self.version.variants), request.POST.get("remove", "")
        if removed in variants:
            del variants[removed]
            self.locale = ""
        else:
            form = LocaleForm(request.POST)
            if not form.is_valid():
                messages.error(request, _("A language is like en or ko-KR."))
                return self.back()
            self.locale = form.cleaned_data["locale"]
            variants[self.locale] = {part: getattr(self.version, part) for part in ("subject", "html", "text")}
        try:
            publishing.edit(self.visit.actor, self.visit.account.pk, key, {"variants": variants}, publish=False)
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            self.locale = ""
        return self.back()


class Deletion(TemplatePage):
    actions = {"POST": "templates.write"}

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        self.one(key)
        try:
            publishing.delete(self.visit.actor, self.visit.account.pk, key)
        except ApiError as refused:
            messages.error(request, wording.refusal(refused))
            return self.to("template", key)
        messages.success(request, _("%(key)s is deleted.") % {"key": key})
        return self.to("templates")


urlpatterns = [
    path("templates", Templates.as_view(), name="templates"),
    path("templates/<str:key>", Editor.as_view(), name="template"),
    path("templates/<str:key>/facts", Facts.as_view(), name="template-facts"),
    path("templates/<str:key>/frame", Frame.as_view(), name="template-frame"),
    path("templates/<str:key>/locales", Locales.as_view(), name="template-locales"),
    path("templates/<str:key>/delete", Deletion.as_view(), name="template-delete"),
]
