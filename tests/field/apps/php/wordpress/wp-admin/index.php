<?php
require __DIR__ . '/../field.php';
header_remove('X-Powered-By');
header('Cache-Control: no-cache, must-revalidate, max-age=0');
$user = explode('|', (string) cookie_like('wordpress_logged_in_'))[0];
if ($user === '') { go_to('/wp-login.php?redirect_to=%2Fwp-admin%2F'); exit; }
show_page($user, 'dashboard');
