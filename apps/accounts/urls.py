"""Signing in, the account, the people of a practice.

django-allauth's own names stand here because it looks its pages up by them; what it could do
beyond these (sign-up, several addresses, sign-in by mailed code) has no address.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as app
from allauth.mfa.webauthn import views as keys
from django.urls import path

from apps.accounts import people_views as people
from apps.accounts import sign_in_views as own
from apps.accounts.digest_views import stop_weekly_mail
from apps.accounts.sign_in import changes_sign_in, page, proves_anew
from apps.accounts.views import digest, read_notice, theme

MEMBER = "practice/people/<uuid:member_id>"

urlpatterns = [
    path("sign-in/", page(account.login), name="account_login"),
    path("sign-in/", page(account.login), name="login"),
    path("sign-in/second-step/", page(mfa.authenticate), name="mfa_authenticate"),
    path("sign-in/again/", proves_anew(account.reauthenticate), name="account_reauthenticate"),
    path("sign-in/again/code/", proves_anew(mfa.reauthenticate), name="mfa_reauthenticate"),
    path(
        "sign-in/again/key/",
        proves_anew(keys.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("sign-in/forgotten/", own.forgotten, name="account_reset_password"),
    path("sign-out/", page(account.logout), name="account_logout"),
    path("sign-out/", page(account.logout), name="logout"),
    path("link/<str:token>/", own.account_link, name="account_link"),
    path("kept/", own.kept_draft, name="kept_draft"),
    path("theme/", theme, name="theme"),
    path("notices/<uuid:notice_id>/read/", read_notice, name="read_notice"),
    path("switch-practice/", own.switch_practice, name="switch_practice"),
    path("account/", own.account, name="mfa_index"),
    path("account/weekly-mail/", digest, name="digest"),
    path("weekly-mail/<str:stop_token>/", stop_weekly_mail, name="stop_weekly_mail"),
    path(
        "account/password/",
        changes_sign_in(account.password_change),
        name="account_change_password",
    ),
    path("account/app/add/", changes_sign_in(app.activate_totp), name="mfa_activate_totp"),
    path("account/app/remove/", changes_sign_in(app.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/keys/", own.account, name="mfa_list_webauthn"),
    path("account/keys/add/", changes_sign_in(keys.add_webauthn), name="mfa_add_webauthn"),
    path(
        "account/keys/<str:mark>/remove/",
        changes_sign_in(own.remove_key),
        name="mfa_remove_webauthn",
    ),
    path("account/codes/", own.recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "account/codes/new/",
        changes_sign_in(codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("practice/people/", people.people, name="people"),
    path("practice/people/invite/", people.invite, name="invite_member"),
    path(f"{MEMBER}/", people.member, name="member"),
    path(f"{MEMBER}/invite/", people.invite_again, name="invite_again"),
    path(f"{MEMBER}/deactivate/", people.deactivate, name="deactivate_member"),
    path(f"{MEMBER}/reactivate/", people.reactivate, name="reactivate_member"),
    path("practice/supervision/add/", people.add_supervision, name="add_supervision"),
    path(
        "practice/supervision/<uuid:supervision_id>/",
        people.end_supervision,
        name="end_supervision",
    ),
]
