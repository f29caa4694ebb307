"""The templates of the demo account: four in English and Korean, and the layout they share. Plain tables, which every mail client
shows, and one style sheet, which publishing writes into them."""

from typing import Any

from messaging.models import EmailTemplate
from messaging.templating import publishing
from sendarix.accounts.audit import Actor

Content = dict[str, Any]
"""The fields of a version, as publishing.create takes them."""

LAYOUT: Content = {
    "html": """\
<!doctype html>
<html lang="{{ locale }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ subject }}</title>
<style>
body { margin: 0; padding: 0; background: #f3f4f6; color: #1f2937;
  font-family: -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, 'Apple SD Gothic Neo', 'Malgun Gothic', sans-serif }
h1 { margin: 0 0 16px; font-size: 22px; line-height: 1.3; color: #111827 }
p { margin: 0 0 16px }
p.code { padding: 16px; background: #f3f4f6; border-radius: 6px; text-align: center; font-size: 32px; font-weight: 700;
  letter-spacing: 6px; font-family: Menlo, Consolas, monospace; color: #111827 }
p.note { margin: 16px 0 0; font-size: 14px; color: #6b7280 }
p.foot { margin: 16px 0 0; font-size: 12px; color: #6b7280 }
table.button { margin: 24px 0 }
table.button td { border-radius: 6px; background: #1d4ed8 }
table.button a { display: inline-block; padding: 12px 24px; color: #ffffff; font-weight: 600; text-decoration: none }
table.rows { margin: 0 0 16px; font-size: 15px }
table.rows td { padding: 8px 0; border-bottom: 1px solid #e5e7eb }
table.rows tr.total td { padding: 12px 0; border-bottom: 0; font-weight: 700 }
</style>
</head>
<body>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f3f4f6">
<tr><td align="center" style="padding:32px 16px">
<table role="presentation" width="560" cellpadding="0" cellspacing="0"
 style="width:100%;max-width:560px;background:#ffffff;border-radius:8px">
<tr><td style="padding:32px;font-size:16px;line-height:1.5;color:#1f2937">
{{ content }}
</td></tr>
</table>
<p class="foot">Sent with Sendarix</p>
</td></tr>
</table>
</body>
</html>
""",
    "text": "{{ content }}",
}


def _variable(name: str, kind: str, about: str, **more: Any) -> dict[str, Any]:
    declared = {"name": name, "type": kind, "required": True, "default": None, "sensitive": False, "description": about}
    return declared | more


def _body(title: str, preview: str, *blocks: str) -> str:
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{preview}</div>'
    return "\n".join((hidden, f"<h1>{title}</h1>", *blocks)) + "\n"


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{text}</p>' if kind else f"<p>{text}</p>"


def _button(label: str, url: str) -> str:
    return f"""\
<table role="presentation" class="button" cellpadding="0" cellspacing="0"><tr>
<td><a href="{url}">{label}</a></td>
</tr></table>"""


OTP_CODE: Content = {
    "layout": "page",
    "default_locale": "en",
    "subject": "Your verification code is {{ code }}",
    "html": _body(
        "Your verification code",
        "It expires in {{ expires_in }}.",
        _paragraph("Enter this code to continue:"),
        _paragraph("{{ code }}", "code"),
        _paragraph("It expires in {{ expires_in }}."),
        _paragraph("If you did not ask for it, you can ignore this mail. Never share the code with anyone.", "note"),
    ),
    "text": """\
Your verification code is {{ code }}

It expires in {{ expires_in }}.

If you did not ask for it, you can ignore this mail. Never share the code with anyone.
""",
    "variants": {
        "ko": {
            "subject": "인증번호는 {{ code }}입니다",
            "html": _body(
                "인증번호",
                "유효 시간: {{ expires_in }}",
                _paragraph("아래 인증번호를 입력해 주세요."),
                _paragraph("{{ code }}", "code"),
                _paragraph("유효 시간: {{ expires_in }}"),
                _paragraph(
                    "요청하지 않으셨다면 이 메일을 무시하셔도 됩니다. 인증번호를 다른 사람에게 알려 주지 마세요.",
                    "note",
                ),
            ),
        }
    },
    "variables": [
        _variable("code", "string", "The code to enter.", sensitive=True),
        _variable("expires_in", "string", "How long it is good for, in words: 5 minutes."),
    ],
}

PASSWORD_RESET: Content = {
    "layout": "page",
    "default_locale": "en",
    "subject": "Reset your password",
    "html": _body(
        "Reset your password",
        "The link works for {{ expires_in }}.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %},"),
        _paragraph("we received a request to reset your password. Choose a new one here:"),
        _button("Choose a new password", "{{ reset_url }}"),
        _paragraph("The link works once, for {{ expires_in }}."),
        _paragraph("If you did not ask for it, ignore this mail: your password stays as it is.", "note"),
    ),
    "text": """\
Hello{% if name %} {{ name }}{% endif %},

we received a request to reset your password. Choose a new one here:

{{ reset_url }}

The link works once, for {{ expires_in }}.

If you did not ask for it, ignore this mail: your password stays as it is.
""",
    "variants": {
        "ko": {
            "subject": "비밀번호 재설정 안내",
            "html": _body(
                "비밀번호 재설정",
                "링크 유효 시간: {{ expires_in }}",
                _paragraph("안녕하세요{% if name %}, {{ name }}님{% endif %}."),
                _paragraph("비밀번호 재설정 요청을 받았습니다. 아래에서 새 비밀번호를 설정해 주세요."),
                _button("새 비밀번호 설정", "{{ reset_url }}"),
                _paragraph("링크는 한 번만 사용할 수 있으며, 유효 시간은 {{ expires_in }}입니다."),
                _paragraph("요청하지 않으셨다면 이 메일을 무시해 주세요. 비밀번호는 바뀌지 않습니다.", "note"),
            ),
        }
    },
    "variables": [
        _variable("reset_url", "url", "Where to choose a new password.", sensitive=True),
        _variable("expires_in", "string", "How long the link works, in words: 1 hour."),
        _variable("name", "string", "What to call the reader.", required=False),
    ],
}


def _rows(total: str) -> str:
    return f"""\
<table role="presentation" class="rows" width="100%" cellpadding="0" cellspacing="0">
{{%- for item in items %}}
<tr>
<td>{{{{ item.description }}}}</td>
<td align="right">{{{{ item.amount }}}}</td>
</tr>
{{%- endfor %}}
<tr class="total">
<td>{total}</td>
<td align="right">{{{{ total }}}}</td>
</tr>
</table>"""


def _pay(label: str) -> str:
    return "{% if pay_url %}" + _button(label, "{{ pay_url }}") + "{% endif %}"


INVOICE: Content = {
    "layout": "page",
    "default_locale": "en",
    "subject": "Invoice {{ number }} over {{ total }}",
    "html": _body(
        "Invoice {{ number }}",
        "{{ total }}, due on {{ due_date }}.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %}, thank you for your order."),
        _rows("Total"),
        _paragraph("Please pay by {{ due_date }}."),
        _pay("Pay now"),
    ),
    "text": """\
Hello{% if name %} {{ name }}{% endif %}, thank you for your order.

Invoice {{ number }}
{% for item in items %}
- {{ item.description }}: {{ item.amount }}
{%- endfor %}

Total: {{ total }}

Please pay by {{ due_date }}.
{%- if pay_url %}
Pay here: {{ pay_url }}
{%- endif %}
""",
    "variants": {
        "ko": {
            "subject": "청구서 {{ number }} ({{ total }})",
            "html": _body(
                "청구서 {{ number }}",
                "{{ total }}, 납부 기한 {{ due_date }}",
                _paragraph("안녕하세요{% if name %}, {{ name }}님{% endif %}. 주문해 주셔서 감사합니다."),
                _rows("합계"),
                _paragraph("납부 기한: {{ due_date }}"),
                _pay("결제하기"),
            ),
        }
    },
    "variables": [
        _variable("items", "array", "The lines: description and amount of each."),
        _variable("pay_url", "url", "Where to pay.", required=False),
    ],
}

WELCOME: Content = {
    "layout": "page",
    "default_locale": "en",
    "subject": "Welcome to {{ product }}{% if name %}, {{ name }}{% endif %}",
    "html": _body(
        "Welcome to {{ product }}",
        "Your account is ready.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %},"),
        _paragraph("your account is ready. We are glad you are here."),
        _button("Get started", "{{ start_url }}"),
        _paragraph("Questions? Just reply to this mail.", "note"),
    ),
    "text": """\
Hello{% if name %} {{ name }}{% endif %},

your account is ready. We are glad you are here.

Get started: {{ start_url }}

Questions? Just reply to this mail.
""",
    "variants": {
        "ko": {
            "subject": "{{ product }}에 오신 것을 환영합니다{% if name %}, {{ name }}님{% endif %}",
            "html": _body(
                "{{ product }}에 오신 것을 환영합니다",
                "계정이 준비되었습니다.",
                _paragraph("안녕하세요{% if name %}, {{ name }}님{% endif %}."),
                _paragraph("계정이 준비되었습니다. 함께하게 되어 기쁩니다."),
                _button("시작하기", "{{ start_url }}"),
                _paragraph("궁금한 점이 있으시면 이 메일에 답장해 주세요.", "note"),
            ),
        }
    },
    "variables": [_variable("name", "string", "What to call the reader.", required=False)],
}

TEMPLATES: dict[str, Content] = {
    "otp-code": OTP_CODE,
    "password-reset": PASSWORD_RESET,
    "invoice": INVOICE,
    "welcome": WELCOME,
}


def install(actor: Actor, account_id: int) -> None:
    """Publish the layout and the templates where the account has none of that key."""
    install_layout(actor, account_id)
    taken = set(EmailTemplate.objects.filter(account_id=account_id).values_list("key", flat=True))
    for key, content in TEMPLATES.items():
        if key not in taken:
            publishing.create(actor, account_id, key, "template", content, publish=True)


def install_layout(actor: Actor, account_id: int) -> None:
    if not EmailTemplate.objects.filter(account_id=account_id, key="page").exists():
        publishing.create(actor, account_id, "page", "layout", LAYOUT, publish=True)
