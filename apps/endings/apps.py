from django.apps import AppConfig


class EndingsConfig(AppConfig):
    name = "apps.endings"
    verbose_name = "Endings"
