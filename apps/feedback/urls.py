from django.urls import path, re_path

from apps.feedback import client_views, views

urlpatterns = [
    path("sessions/log/", views.log_session, name="log_session"),
    path("f/<str:token>/", client_views.feedback_form, name="feedback_form"),
    path("f/<str:token>/thanks/", client_views.feedback_thanks, name="feedback_thanks"),
    re_path(r"^f/(?:.*/)?$", client_views.unknown_link, name="unknown_link"),
]
