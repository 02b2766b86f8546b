<?php
require __DIR__ . '/field.php';
header_remove('X-Powered-By');
if ($_SERVER['REQUEST_METHOD'] !== 'POST') { http_response_code(405); header('Allow: POST'); exit; }
changed();
header('Set-Cookie: comment_author_5c0d=' . rawurlencode($_POST['author'] ?? '') . '; path=/', false);
header('Cache-Control: no-cache, must-revalidate, max-age=0');
go_to('/hello/#comment-2');
