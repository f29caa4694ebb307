"""No operator-class twins of the primary keys of what is written with every request: nobody looks for a part of one."""

from django.db import migrations

DROP_TWINS = """
DO $$ DECLARE twin text; BEGIN
    FOR twin IN SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE '%\\_like'
        AND tablename IN ('rate_windows', 'api_requests')
    LOOP EXECUTE format('DROP INDEX %I', twin); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_listened")]

    operations = [migrations.RunSQL(DROP_TWINS, migrations.RunSQL.noop)]
