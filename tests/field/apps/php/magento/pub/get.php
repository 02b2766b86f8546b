<?php
require __DIR__ . '/../field.php';
header_remove('X-Powered-By');
if (strpos(path(), 'missing') !== false) { http_response_code(404); echo "no picture\n"; exit; }
header('Content-Type: image/jpeg');
header('Cache-Control: public, max-age=3600');
echo 'resized ', path(), "\n", str_repeat('x', 3000);
