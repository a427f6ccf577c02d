from django.urls import path

from apps.exchange import keeping_views as keeping
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
    path("clients/<uuid:client_id>/records/erase/", records.erase_texts, name="erase_texts"),
    path("erasures/", keeping.erasures, name="erasures"),
    path("erasures/<uuid:erasure_id>/", keeping.close_erasure, name="close_erasure"),
    path("erasures/<uuid:export_id>/export/", keeping.take_export, name="take_export"),
    path("clients/<uuid:client_id>/left-notes/", keeping.left_notes, name="left_notes"),
    path("practice/records/", keeping.keeping, name="keeping"),
    path("practice/holds/", keeping.holds, name="holds"),
    path("practice/records/export/", keeping.ask_for_export, name="ask_for_export"),
]
