<?php
require __DIR__ . '/common.php';
never_cache();
if ($_SERVER['REQUEST_METHOD'] !== 'POST') { http_response_code(405); header('Allow: POST'); exit; }
$posts = posts();
$post = (int) $_POST['comment_post_ID'];
$posts[$post]['comments'][] = [user() ?: $_POST['author'], $_POST['comment']];
save($posts);
purge("/article-$post/");
if (user() === '' && isset($_POST['wp-comment-cookies-consent'])) {
    set('comment_author', $_POST['author'], time() + 30000000);
    set('comment_author_email', $_POST['email'], time() + 30000000);
}
go("/article-$post/#comment-" . count($posts[$post]['comments']));
