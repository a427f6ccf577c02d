from django.urls import path

from apps.exchange import records_views as records
from apps.exchange import views

urlpatterns = [
    path("diary/calendar/", views.calendar, name="calendar"),
    path("diary/calendar/close/", views.close_calendar, name="close_calendar"),
    path("calendar/<str:calendar_token>/rapport.ics", views.calendar_file, name="calendar_file"),
    path("clients/<uuid:client_id>/records/", records.records, name="records"),
    path("clients/<uuid:client_id>/records/export/", records.export, name="export_records"),
    path("clients/<uuid:client_id>/records/portable/", records.portable, name="portable_copy"),
    path("clients/<uuid:client_id>/records/act/", records.act, name="act_on_records"),
    path("clients/<uuid:client_id>/records/erase/", records.erase_fields, name="erase_fields"),
    path("erasures/", records.erasures, name="erasures"),
    path("erasures/<uuid:erasure_id>/", records.close_erasure, name="close_erasure"),
]
