"""How the hot tables are stored: room for updates on the page, no operator-class twins of primary keys, and worker beats unlogged
(they mean nothing after a crash of the database)."""

from django.db import migrations

DROP_TWINS = """
DO $$ DECLARE twin text; BEGIN
    FOR twin IN SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE '%\\_like'
        AND tablename IN ('messages', 'message_contents', 'dead_letters', 'delivery_workers', 'attachments')
    LOOP EXECUTE format('DROP INDEX %I', twin); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_messages")]

    operations = [
        migrations.RunSQL(DROP_TWINS, migrations.RunSQL.noop),
        migrations.RunSQL("ALTER TABLE messages SET (fillfactor = 80)", "ALTER TABLE messages RESET (fillfactor)"),
        migrations.RunSQL(
            "ALTER TABLE delivery_workers SET UNLOGGED, SET (fillfactor = 50)",
            "ALTER TABLE delivery_workers SET LOGGED, RESET (fillfactor)",
        ),
    ]
