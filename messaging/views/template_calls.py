"""The templates API in its document: one Call per method, in the words a customer reads."""

from messaging.views import template_answers as answers
from messaging.views.template_shapes import (
    ContentShape,
    PublishShape,
    RenderShape,
    RollbackShape,
    TemplateImportShape,
    TemplateShape,
)
from sendarix.accounts.calls import Call

_CODE = {
    "key": "sign-in",
    "subject": "{{ code }} is your code",
    "html": "<p>Your code is <b>{{ code }}</b>.</p>",
    "default_locale": "en",
    "variants": {"ko": {"subject": "인증번호 {{ code }}", "html": "<p>인증번호: <b>{{ code }}</b></p>"}},
    "variables": [{"name": "code", "type": "string", "sensitive": True}],
    "publish": True,
}

CREATE = Call(
    name="createTemplate",
    summary="Create a template",
    about="A template, a layout (it prints `{{ content }}`) or a partial (`{% render 'key', name: value %}`), as version 1."
    " The language is Liquid without `include`: variables, conditions, loops and filters, within limits. Messages use it once it"
    " is published.",
    body=TemplateShape,
    answer=answers.TemplateDetail,
    status=201,
    refusals=(409,),
    body_example=_CODE,
)
LIST = Call(
    name="listTemplates",
    summary="List templates",
    about="Templates, layouts and partials, newest first.",
    answer=answers.TemplatePage,
)
GET = Call(
    name="getTemplate", summary="Read a template", about="With its newest version.", answer=answers.TemplateDetail
)
CHANGE = Call(
    name="changeTemplate",
    summary="Edit a template's draft",
    about="Only the given fields change. When the newest version was published already, a draft is made of it first, with the"
    " next number. A published version never changes.",
    body=ContentShape,
    answer=answers.TemplateDetail,
    refusals=(409,),
    body_example={"subject": "Your code: {{ code }}"},
)
DELETE = Call(
    name="deleteTemplate",
    summary="Delete a template",
    about="With all its versions. A layout or partial that published templates use stays: 409 names them.",
    answer=answers.DeletedTemplate,
    refusals=(409,),
)
VERSIONS = Call(
    name="listTemplateVersions",
    summary="List the versions of a template",
    about="Newest first.",
    answer=answers.VersionPage,
)
VERSION = Call(name="getTemplateVersion", summary="Read a version of a template", answer=answers.Version)
PUBLISH = Call(
    name="publishTemplate",
    summary="Publish a version",
    about="From now on messages use it. CSS is written into the elements, and a text is made when there is none. The layout and"
    " the partials it uses must be published; publishing one of those again changes every published template that uses it at the"
    " same moment, or is refused when one of them would no longer work.",
    body=PublishShape,
    answer=answers.TemplateDetail,
    refusals=(409,),
    body_example={},
)
ROLL_BACK = Call(
    name="rollBackTemplate",
    summary="Return to an earlier version",
    about="Publishes again a version that was published before. Later versions and the draft stay.",
    body=RollbackShape,
    answer=answers.TemplateDetail,
    refusals=(409,),
    body_example={"version": 1},
)
RENDER = Call(
    name="renderTemplate",
    summary="Render a template with data",
    about="As a message with this data would have it, with the layouts and partials that are published. Faults name the part,"
    " line and column. A layout is shown around a sample, a partial with template_data as its arguments. Nothing is stored.",
    body=RenderShape,
    answer=answers.Preview,
    body_example={"template_data": {"code": "847291"}, "locale": "ko-KR"},
)
IMPORT = Call(
    name="importTemplate",
    summary="Convert a Mustache or Handlebars template",
    about="Rewrites variables, `if`, `unless`, `each`, `with`, sections, comments and partials in our language. What has no equal"
    " is a fault with line and column, and nothing is saved; what means something a little different is a warning.",
    body=TemplateImportShape,
    answer=answers.ImportedTemplate,
    refusals=(409,),
    body_example={"source": "handlebars", "html": "{{#each items}}<p>{{name}}</p>{{/each}}", "save_as": "order"},
)
