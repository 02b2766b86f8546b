<?php
require __DIR__ . '/../field.php';
header_remove('X-Powered-By');
header('Cache-Control: public, max-age=31536000');
header('Content-Type: text/css');
echo '/* made of ', $_GET['resource'] ?? '?', " */\n", str_repeat("body { color: black }\n", 100);
