# C++ flags for our objects only: nginx's CFLAGS are shared with C files, which refuse most of these.
# SLAB_CACHE_CFLAGS in the environment adds more (the Makefile uses it for debug and sanitizer builds).

slab_cache_objs=
for slab_cache_src in $slab_cache_srcs; do
    # The last folder and the file name, as auto/make has it.
    slab_cache_obj=$(basename "$(dirname "$slab_cache_src")")/$(basename "$slab_cache_src" .cpp).o
    slab_cache_objs="$slab_cache_objs $NGX_OBJS/addon/$slab_cache_obj"
done

cat << END                                                >> $NGX_MAKEFILE

$slab_cache_objs: \\
	CFLAGS += -std=c++17 -O2 -fno-exceptions -fno-rtti -fno-threadsafe-statics \\
	-fvisibility=hidden -I$slab_cache_dir/src $SLAB_CACHE_CFLAGS

END
