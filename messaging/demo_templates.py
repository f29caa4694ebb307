"""The four templates of the demo account: plain tables and inline styles, which every mail client shows."""

from messaging.templating import Source

_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def _page(title: str, preview: str, body: str) -> str:
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="margin:0;padding:0;background:#f3f4f6;color:#1f2937;{_FONT}">
<div style="display:none;max-height:0;overflow:hidden">{preview}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f3f4f6">
<tr><td align="center" style="padding:32px 16px">
<table role="presentation" width="560" cellpadding="0" cellspacing="0"
 style="width:100%;max-width:560px;background:#ffffff;border-radius:8px">
<tr><td style="padding:32px;font-size:16px;line-height:1.5;color:#1f2937">
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3;color:#111827">{title}</h1>
{body}
</td></tr>
</table>
<p style="margin:16px 0 0;font-size:12px;color:#6b7280">Sent with Sendarix</p>
</td></tr>
</table>
</body>
</html>
"""


def _paragraph(text: str) -> str:
    return f'<p style="margin:0 0 16px">{text}</p>'


def _note(text: str) -> str:
    return f'<p style="margin:16px 0 0;font-size:14px;color:#6b7280">{text}</p>'


def _button(label: str, url: str) -> str:
    return f"""\
<table role="presentation" cellpadding="0" cellspacing="0" style="margin:24px 0"><tr>
<td style="border-radius:6px;background:#1d4ed8"><a href="{url}"
 style="display:inline-block;padding:12px 24px;color:#ffffff;font-weight:600;text-decoration:none">{label}</a>
</td>
</tr></table>"""


OTP_CODE = Source(
    key="otp-code",
    version=1,
    subject="Your verification code is {{ code }}",
    html=_page(
        "Your verification code",
        "It expires in {{ expires_in }}.",
        _paragraph("Enter this code to continue:")
        + """
<p style="margin:0 0 16px;padding:16px;background:#f3f4f6;border-radius:6px;text-align:center;font-size:32px;
font-weight:700;letter-spacing:6px;font-family:Menlo,Consolas,monospace;color:#111827">{{ code }}</p>
"""
        + _paragraph("It expires in {{ expires_in }}.")
        + _note("If you did not ask for it, you can ignore this mail. Never share the code with anyone."),
    ),
    text="""\
Your verification code is {{ code }}

It expires in {{ expires_in }}.

If you did not ask for it, you can ignore this mail. Never share the code with anyone.
""",
)

PASSWORD_RESET = Source(
    key="password-reset",
    version=1,
    subject="Reset your password",
    html=_page(
        "Reset your password",
        "The link works for {{ expires_in }}.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %},")
        + _paragraph("we received a request to reset your password. Choose a new one here:")
        + _button("Choose a new password", "{{ reset_url }}")
        + _paragraph("The link works once, for {{ expires_in }}.")
        + _note("If you did not ask for it, ignore this mail: your password stays as it is."),
    ),
    text="""\
Hello{% if name %} {{ name }}{% endif %},

we received a request to reset your password. Choose a new one here:

{{ reset_url }}

The link works once, for {{ expires_in }}.

If you did not ask for it, ignore this mail: your password stays as it is.
""",
)

_INVOICE_ROWS = """
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin:0 0 16px;font-size:15px">
{%- for item in items %}
<tr>
<td style="padding:8px 0;border-bottom:1px solid #e5e7eb">{{ item.description }}</td>
<td align="right" style="padding:8px 0;border-bottom:1px solid #e5e7eb">{{ item.amount }}</td>
</tr>
{%- endfor %}
<tr>
<td style="padding:12px 0;font-weight:700">Total</td>
<td align="right" style="padding:12px 0;font-weight:700">{{ total }}</td>
</tr>
</table>
"""

INVOICE = Source(
    key="invoice",
    version=1,
    subject="Invoice {{ number }} over {{ total }}",
    html=_page(
        "Invoice {{ number }}",
        "{{ total }}, due on {{ due_date }}.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %}, thank you for your order.")
        + _INVOICE_ROWS
        + _paragraph("Please pay by {{ due_date }}.")
        + "{% if pay_url %}"
        + _button("Pay now", "{{ pay_url }}")
        + "{% endif %}",
    ),
    text="""\
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
)

WELCOME = Source(
    key="welcome",
    version=1,
    subject="Welcome to {{ product }}{% if name %}, {{ name }}{% endif %}",
    html=_page(
        "Welcome to {{ product }}",
        "Your account is ready.",
        _paragraph("Hello{% if name %} {{ name }}{% endif %},")
        + _paragraph("your account is ready. We are glad you are here.")
        + _button("Get started", "{{ start_url }}")
        + _note("Questions? Just reply to this mail."),
    ),
    text="""\
Hello{% if name %} {{ name }}{% endif %},

your account is ready. We are glad you are here.

Get started: {{ start_url }}

Questions? Just reply to this mail.
""",
)

TEMPLATES = (OTP_CODE, PASSWORD_RESET, INVOICE, WELCOME)
