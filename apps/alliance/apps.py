from django.apps import AppConfig


class AllianceConfig(AppConfig):
    name = "apps.alliance"
    verbose_name = "Alliance"
