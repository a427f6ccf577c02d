"""Settings of Rapport, read from the environment; docs/operations.md lists the variables.

Production must say what it stands on: with `RAPPORT_ENVIRONMENT=production` every variable that
has no safe default is required, and a missing one stops the start with the line that mends it.
"""

import base64
import os
from datetime import time, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.logs import CONFIGURATION
from apps.core.neutral import telling_word

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# ── Environment ──────────────────────────────────────────────────────────────────────────────

ENVIRONMENT = env.str("RAPPORT_ENVIRONMENT", "development")
if ENVIRONMENT not in {"development", "production"}:
    raise ImproperlyConfigured(
        f"RAPPORT_ENVIRONMENT is {ENVIRONMENT!r}; set it to 'development' or 'production'."
    )
PRODUCTION = ENVIRONMENT == "production"


def secret(name: str) -> str:
    """Value of the variable `name`, or of the file that `name_FILE` points to; empty: neither."""
    path = env.str(f"{name}_FILE", "")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    value: str = env.str(name, "")
    return value


def required(name: str, development: str, hint: str) -> str:
    """Value of the variable `name`; in development `development` where it is unset.

    Raises:
        ImproperlyConfigured: in production where it is unset; the message holds `hint`.
    """
    value = secret(name)
    if not value and PRODUCTION:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value or development


def embedded(name: str) -> str:
    """What this clone's embedded engines use; empty in production and where they never started."""
    if PRODUCTION:
        return ""
    from apps.core.embedded import urls

    return urls().get(name, "")


DEBUG = env.bool("DEBUG", False)
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("DEBUG shows people's data on error pages. Unset it in production.")

SECRET_KEY = required(
    "SECRET_KEY",
    embedded("SECRET_KEY") or "key-of-a-clone-that-never-started",
    "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1"])
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS is not set. Name the hosts, e.g. rapport.example.org")

ENCRYPTION_KEY_HINT = (
    "Make one, and keep a copy apart from the database: without it nobody reads contact details, "
    "comments and notes. python -c 'import base64, os; "
    "print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
)


def key_of_32_bytes(text: str) -> bytes:
    """A root key from its base64; ImproperlyConfigured where it is none."""
    try:
        key = base64.urlsafe_b64decode(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(
            f"A key in ENCRYPTION_KEYS is not 32 bytes in base64. {ENCRYPTION_KEY_HINT}"
        )
    return key


# Root keys of what is stored encrypted (apps/core/crypto.py), current one first.
ENCRYPTION_KEYS = [
    key_of_32_bytes(key.strip())
    for key in required("ENCRYPTION_KEYS", embedded("ENCRYPTION_KEYS"), ENCRYPTION_KEY_HINT).split(
        ","
    )
    if key.strip()
]

# Address that clients reach the feedback form at; the one in every message.
BASE_URL = required(
    "BASE_URL",
    embedded("BASE_URL") or "http://127.0.0.1:8000",
    "Give the public address, e.g. https://fb.example.org",
).rstrip("/")
if PRODUCTION and not BASE_URL.startswith("https://"):
    raise ImproperlyConfigured(f"BASE_URL is {BASE_URL!r}. Links to clients must begin with https.")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# How many proxies stand in front and write X-Forwarded-For; what came before them is hearsay.
# Production has one, as something must speak HTTPS.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 1 if PRODUCTION else 0)

# ── Applications ─────────────────────────────────────────────────────────────────────────────

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "apps.core",
    "apps.accounts",
    "apps.clients",
    "apps.therapy_sessions",
    "apps.alliance",
    "apps.ruptures",
    "apps.feedback",
    "apps.supervision",
    "apps.endings",
    "apps.dashboard",
    "apps.exchange",
]

MIDDLEWARE = [
    "apps.core.typed.NoStoreMiddleware",
    "apps.core.tracing.TracingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.middleware.SignInMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "apps.accounts.middleware.PracticeMiddleware",
    "apps.clients.turns.TurnMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.accounts.context_processors.layout",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# ── Database, cache, tasks ───────────────────────────────────────────────────────────────────


REDIS_URL = required("REDIS_URL", embedded("REDIS_URL"), "Give redis://host:6379/0")
# Web and worker are bound by row-level security; `manage.py` runs as the schema's owner.
DATABASE_URL = required(
    "DATABASE_URL", embedded("DATABASE_URL"), "Give postgres://app:password@host:5432/rapport"
)
AS_OWNER = env.str("RAPPORT_DATABASE_ROLE", "app") == "migrator"
if AS_OWNER:
    DATABASE_URL = secret("MIGRATOR_DATABASE_URL") or (
        "" if secret("DATABASE_URL") else embedded("MIGRATOR_DATABASE_URL")
    )

DATABASES = {
    "default": {
        **(
            environ.Env.db_url_config(DATABASE_URL)
            if DATABASE_URL
            else {"ENGINE": "django.db.backends.dummy"}
        ),
        **({"ENGINE": "apps.core.owner"} if AS_OWNER else {}),
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Counts what is asked too often and remembers used codes; may be lost at any time, names nobody.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "rapport",
        "KEY_FUNCTION": "apps.core.cached.keyed",
        # A person waits for the answer: one second attempt, for a connection that went stale.
        "OPTIONS": {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": Retry(NoBackoff(), 1),
        },
    }
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://") or "memory://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 10,
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = 90
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "deliver due messages": {
        "task": "apps.core.tasks.deliver_due_messages",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "seal the audit trail": {
        "task": "apps.core.tasks.seal_audit_trail",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "forget ended sessions": {
        "task": "apps.accounts.tasks.forget_ended_sessions",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    # It is Monday morning at another hour in each time zone.
    "send weekly mails": {
        "task": "apps.accounts.tasks.send_digests",
        "schedule": 1800.0,
        "options": {"expires": 1800},
    },
    "expire feedback requests": {
        "task": "apps.feedback.tasks.expire_feedback_requests",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "propose what was kept long enough": {
        "task": "apps.exchange.tasks.propose_erasures",
        "schedule": 6 * 3600.0,
        "options": {"expires": 3600},
    },
    "move episodes on": {
        "task": "apps.ruptures.tasks.move_episodes_on",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
}

# ── Accounts ─────────────────────────────────────────────────────────────────────────────────

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Sorted SHA-1 hashes in capitals, one a line, as Have I Been Pwned hands them out.
BREACHED_PASSWORDS_FILE = env.str("BREACHED_PASSWORDS_FILE", "")
if BREACHED_PASSWORDS_FILE:
    if not Path(BREACHED_PASSWORDS_FILE).is_file():
        raise ImproperlyConfigured(
            f"BREACHED_PASSWORDS_FILE is {BREACHED_PASSWORDS_FILE!r}, which is no file."
        )
    AUTH_PASSWORD_VALIDATORS.append(
        {
            "NAME": "apps.accounts.validators.BreachedPasswordValidator",
            "OPTIONS": {"path": BREACHED_PASSWORDS_FILE},
        }
    )

ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 5 * 60
# A clinic shares one address: wrong passwords alone count, and a browser that is known for the
# account is not asked (`AccountAdapter.authenticate`); allauth's own count has the second step ask
# for it as well, and forgets all of it after one right code. What is counted per account grows
# slower: apps/accounts/throttle.py.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "password_failed": "100/h/ip",  # pragma: allowlist secret
    "reset_password": "20/h/ip",  # pragma: allowlist secret
    "reset_password_unknown": "5/h/key",  # pragma: allowlist secret
    "reset_password_known": "5/h/key",  # pragma: allowlist secret
    "reauthenticate": None,
    "change_password": None,
}
ACCOUNT_FORMS = {
    "login": "apps.accounts.sign_in_forms.SignInForm",
    "reauthenticate": "apps.accounts.sign_in_forms.PasswordAgainForm",
    "change_password": "apps.accounts.sign_in_forms.ChangePasswordForm",  # pragma: allowlist secret
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

MFA_ADAPTER = "apps.accounts.adapters.SecondStepAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Rapport"
MFA_FORMS = {
    "authenticate": "apps.accounts.sign_in_forms.CodeForm",
    "reauthenticate": "apps.accounts.sign_in_forms.CodeAgainForm",
    "activate_totp": "apps.accounts.sign_in_forms.FirstCodeForm",
    "add_webauthn": "apps.accounts.sign_in_forms.SecurityKeyForm",
    "authenticate_webauthn": "apps.accounts.sign_in_forms.KeyForm",
    "reauthenticate_webauthn": "apps.accounts.sign_in_forms.KeyAgainForm",
}
MFA_REQUIRED = env.bool("RAPPORT_MFA_REQUIRED", PRODUCTION)
if PRODUCTION and not MFA_REQUIRED:
    raise ImproperlyConfigured(
        "RAPPORT_MFA_REQUIRED=false lets staff sign in with a password alone. Unset it."
    )

# What is kept sealed: secrets of the second step and drafts. Current key first.
SEALING_KEYS = env.list("SEALING_KEYS", default=[SECRET_KEY])

INVITATION_VALID_FOR = timedelta(days=7)
PASSWORD_RESET_VALID_FOR = timedelta(hours=1)
SESSION_ENGINE = "apps.accounts.sessions"
SESSION_IDLE_TIME = timedelta(minutes=30)
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SAMESITE = "Lax"
# The token lies beside the practice that is worked in: neither comes or goes without the other.
CSRF_USE_SESSIONS = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# ── Pages, headers, static files ─────────────────────────────────────────────────────────────

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "apps.core.views.csrf_failure"
# A comment that is far too long comes back on its page, to be shortened: 1 MiB of it, of which a
# browser makes 3 in any script but Latin. What is larger still stays in the browser alone.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["apps.core.typed.NoFiles"]
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    KNOWN_BROWSER_COOKIE_NAME = "__Host-known"
else:
    # Browsers share cookies between ports: two clones side by side must not sign each other out.
    SESSION_COOKIE_NAME = f"sessionid-{urlsplit(BASE_URL).port}"
    KNOWN_BROWSER_COOKIE_NAME = f"known-{urlsplit(BASE_URL).port}"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}
# Outside production files are found where they lie: nothing has been collected.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION

# ── Language and time ────────────────────────────────────────────────────────────────────────

LANGUAGE_CODE = "en-gb"
# What clients can choose from, on their pages and in their messages. Pages of staff are in
# LANGUAGE_CODE alone: no middleware asks the browser.
LANGUAGES = [
    ("en-gb", _("English")),
    ("de", _("German")),
    ("es", _("Spanish")),
    ("fr", _("French")),
    ("nl", _("Dutch")),
    ("pl", _("Polish")),
    ("ar", _("Arabic")),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

# ── Messages ─────────────────────────────────────────────────────────────────────────────────

# Development writes each message to a file; /dev/outbox/ shows them.
MAIL_FOLDER = Path(env.str("MAIL_FOLDER", str(BASE_DIR / ".rapport" / "mail")))
# A provider that django-anymail knows, in place of EMAIL_URL; its keys are variables ANYMAIL_….
EMAIL_PROVIDER = env.str("EMAIL_PROVIDER", "")
EMAIL_URL = (
    "" if EMAIL_PROVIDER else required("EMAIL_URL", "", "Give smtp+tls://user:password@host:587")
)
# Providers that sign what they report: their bounces and complaints are taken at /hooks/email/.
EMAIL_WEBHOOK = {
    "mailgun": "anymail.webhooks.mailgun.MailgunTrackingWebhookView",
    "mandrill": "anymail.webhooks.mandrill.MandrillCombinedWebhookView",
}.get(EMAIL_PROVIDER, "")
ANYMAIL = {
    name.removeprefix("ANYMAIL_").removesuffix("_FILE"): secret(name.removesuffix("_FILE"))
    for name in os.environ
    if name.startswith("ANYMAIL_")
} | {"REQUESTS_TIMEOUT": (5, 10)}


def is_elsewhere(host: str) -> bool:
    """Whether a line to it leaves this machine and the containers beside it."""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return "." in host


if EMAIL_PROVIDER:
    EMAIL_BACKEND = f"anymail.backends.{EMAIL_PROVIDER}.EmailBackend"
elif EMAIL_URL:
    mail_server = environ.Env.email_url_config(EMAIL_URL)
    is_sealed = mail_server.keys() & {"EMAIL_USE_TLS", "EMAIL_USE_SSL"}
    if PRODUCTION and is_elsewhere(mail_server["EMAIL_HOST"] or "") and not is_sealed:
        raise ImproperlyConfigured(
            "EMAIL_URL carries addresses, links and a password to another machine in the open:"
            " give smtp+tls://user:password@host:587, or smtp+ssl://…:465."
        )
    vars().update(mail_server)
    EMAIL_BACKEND = "apps.core.carriers.smtp.EmailBackend"
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(MAIL_FOLDER)
# Seconds: for one wait, and for one message in all.
EMAIL_TIMEOUT = 10
EMAIL_DEADLINE_S = 15.0
# Text messages: a gateway that speaks Twilio's HTTP API, https://ACCOUNT:TOKEN@api.twilio.com.
# Development posts them to its own web server; without a gateway production sends none.
TEXT_GATEWAY_URL = secret("TEXT_GATEWAY_URL") or (
    "" if PRODUCTION else BASE_URL.replace("://", "://development:development@") + "/dev/texts"
)
if PRODUCTION and TEXT_GATEWAY_URL and not TEXT_GATEWAY_URL.startswith("https://"):
    raise ImproperlyConfigured(
        "TEXT_GATEWAY_URL holds a password and carries numbers and links: it must begin with https."
    )
TEXT_SENDER = env.str("TEXT_SENDER", "Rapport")
CARRIERS = {
    "email": "apps.core.carriers.email.EmailCarrier",
    "text": "apps.core.carriers.text.TextCarrier",
}
# Outside production real messages reach nobody but these: addresses, or domains as '@example.org'.
ALLOWED_RECIPIENTS = (
    env.list("ALLOWED_RECIPIENTS", default=[])
    if not PRODUCTION and (EMAIL_URL or EMAIL_PROVIDER or secret("TEXT_GATEWAY_URL"))
    else None
)
# How many messages one sweep sends at the same time: one that hangs holds up its own slot alone.
OUTBOX_SLOTS = env.int("OUTBOX_SLOTS", 8)
DEFAULT_FROM_EMAIL = required(
    "DEFAULT_FROM_EMAIL",
    "forms@rapport.localhost",
    "Give a neutral sender that names neither therapy nor the practice, e.g. forms@example.org",
)
SEEN_BY_CLIENTS = {
    "BASE_URL": BASE_URL,
    "DEFAULT_FROM_EMAIL": DEFAULT_FROM_EMAIL,
    "TEXT_SENDER": TEXT_SENDER,
} | {f"ANYMAIL_{name}": value for name, value in ANYMAIL.items() if name.endswith("_DOMAIN")}
for name, value in SEEN_BY_CLIENTS.items():
    if PRODUCTION and (word := telling_word(value)):
        raise ImproperlyConfigured(
            f"{name}: {word!r} tells whoever sees a message of therapy. Take a neutral one."
        )

# How each kind of outbox message is written, by dotted path: core must not import what is above.
OUTBOX_RENDERERS = {
    "feedback_request": "apps.feedback.messages.render_feedback_request",
    "feedback_reminder": "apps.feedback.messages.render_feedback_reminder",
    "feedback_fresh_link": "apps.feedback.messages.render_feedback_request",
    "channel_stopped": "apps.clients.messages.render_channel_stopped",
    "invitation": "apps.accounts.messages.render_invitation",
    "password_reset": "apps.accounts.messages.render_password_reset",  # pragma: allowlist secret
    "second_step_reset": "apps.accounts.messages.render_second_step_reset",
    "digest": "apps.accounts.messages.render_digest",
}

# Who is told, by kind, that a message is not sent after all: (subject_id).
OUTBOX_NOT_SENT = dict.fromkeys(
    ("feedback_request", "feedback_fresh_link"), "apps.feedback.lifecycle.end_unsent"
)
# Who is told, by kind, that an address takes no messages: (subject_id, channel=…).
OUTBOX_UNREACHABLE = dict.fromkeys(
    ("feedback_request", "feedback_reminder", "feedback_fresh_link"),
    "apps.feedback.lifecycle.stop_unreachable",
)
# Who is told, by kind, that a message which seemed to be out came back: (subject_id).
OUTBOX_CAME_BACK = dict.fromkeys(OUTBOX_UNREACHABLE, "apps.feedback.lifecycle.weigh_silence")
# What members are told in the app, by kind: dotted paths of functions (ids of subjects, member).
NOTICE_RENDERERS: dict[str, str] = {
    "two_people_needed": "apps.exchange.two_people.say_requested",
    "request_withdrawn": "apps.exchange.two_people.say_withdrawn",
    "record_holder": "apps.accounts.notices.say_record_holder",
    "record_holder_ends": "apps.accounts.notices.say_record_holder_ends",
    "contact_treats": "apps.accounts.notices.say_contact_treats",
    "left_notes_opened": "apps.exchange.holder.say_left_notes_opened",
    "channel_stopped": "apps.clients.messages.say_channel_stopped",
    "one_mailbox": "apps.clients.messages.say_one_mailbox",
    "caseload_handed_over": "apps.endings.notices.render_handover",
    "client_moves_here": "apps.endings.notices.render_arrival",
    "move_called_off": "apps.endings.notices.render_called_off",
    "form_ended": "apps.endings.notices.render_form_ended",
    "many_clients_read": "apps.clients.watch.say_many_clients_read",
    "episode_opened": "apps.ruptures.notices.say_opened",
    "episode_marked": "apps.ruptures.notices.say_marked",
    "episode_waited": "apps.ruptures.notices.say_waited",
    "episode_withdrawn": "apps.ruptures.notices.say_gone",
    "supervision_begins": "apps.supervision.notices.say_supervision_begins",
    "supervision_goes_on": "apps.supervision.notices.say_supervision_goes_on",
    "supervision_ends": "apps.supervision.notices.say_supervision_ends",
    "supervision_withdrawn": "apps.supervision.notices.say_supervision_withdrawn",
    "support_message": "apps.supervision.notices.say_support_message",
    "meeting": "apps.supervision.notices.say_meeting",
    "agenda": "apps.supervision.notices.say_agenda",
}
# Entered around what closes a member's place, or makes it a therapist's no more: (member, by=…).
TREATS_NO_MORE = "apps.endings.services.letting_go"
# Whose treatments have not ended by a day: (on=…), the ids of members as a query.
WHO_TREATS = "apps.clients.handing_over.who_treats"
# Called with a practice and a moment after its new audit rows were sealed: core imports nothing.
AUDIT_WATCHERS = ["apps.clients.watch.watch_reads"]

# The demo shortens the delay and lifts the quiet hours, so that a visitor sees a message go out.
FEEDBACK_DELAY = timedelta(minutes=env.int("FEEDBACK_DELAY_MINUTES", 120))
FEEDBACK_QUIET_HOURS: tuple[time, time] | None = (
    (time(21), time(8)) if env.bool("FEEDBACK_QUIET_HOURS", True) else None
)
FEEDBACK_REMIND_AFTER = timedelta(hours=24)
FEEDBACK_OPEN_FOR = timedelta(hours=96)
# How long a code shown in the room opens the form.
FEEDBACK_ROOM_FOR = timedelta(minutes=15)
# Current key first; an older one stays until the links made with it have expired.
FEEDBACK_LINK_KEYS = [key for key in secret("FEEDBACK_LINK_KEYS").split(",") if key] or [SECRET_KEY]
for name, keys in {
    "SECRET_KEY": [SECRET_KEY],
    "SEALING_KEYS": SEALING_KEYS,
    "FEEDBACK_LINK_KEYS": FEEDBACK_LINK_KEYS,
}.items():
    if PRODUCTION and min(map(len, keys), default=0) < 32:
        raise ImproperlyConfigured(
            f"A key in {name} is shorter than 32 characters and could be guessed. Make one: "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )

# ── Logs ─────────────────────────────────────────────────────────────────────────────────────

LOGGING = CONFIGURATION
