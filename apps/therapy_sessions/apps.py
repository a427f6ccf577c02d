from django.apps import AppConfig


class TherapySessionsConfig(AppConfig):
    name = "apps.therapy_sessions"
    verbose_name = "Therapy sessions"
