from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Article",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title_en", models.CharField(max_length=100)),
                ("title_de", models.CharField(max_length=100)),
                ("text", models.TextField()),
                ("changed", models.DateTimeField(auto_now=True)),
            ],
            options={"ordering": ["-pk"]},
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50)),
                ("text", models.TextField()),
                ("article", models.ForeignKey(on_delete=models.deletion.CASCADE, to="articles.article")),
            ],
            options={"ordering": ["pk"]},
        ),
    ]
