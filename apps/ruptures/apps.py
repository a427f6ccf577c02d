from django.apps import AppConfig


class RupturesConfig(AppConfig):
    name = "apps.ruptures"
    verbose_name = "Ruptures"
