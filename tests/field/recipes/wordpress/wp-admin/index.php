<?php
require dirname(__DIR__) . '/common.php';
never_cache();
if (user() === '') go('/wp-login.php');
if (user() === 'editor' && isset($_POST['post_ID'])) {
    $posts = posts();
    $posts[(int) $_POST['post_ID']]['title'] = $_POST['post_title'];
    save($posts);
    purge("/article-{$_POST['post_ID']}/", '/', '/page/*');
}
top();
echo '<h1>Profile of ', htmlspecialchars(user()), "</h1>\n";
