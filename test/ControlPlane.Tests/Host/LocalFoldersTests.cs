using Godwit.Api;
using Godwit.Host.Files;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

public sealed class LocalFoldersTests : IDisposable
{
    private readonly string _folder = PathResolution.Resolve(Directory.CreateTempSubdirectory("godwit-folders-").FullName);

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData("/proc/x"), InlineData("/sys/x"), InlineData("/dev/sda"), InlineData("/etc/x.vhdx"), InlineData("/boot/x"),
     InlineData("/usr/x"), InlineData("/bin/x"), InlineData("/sbin/x"), InlineData("/lib/x"), InlineData("/lib64/x"), InlineData("/run/x"),
     InlineData("/etc"), InlineData("/srv/../etc/x"), InlineData("//etc//x")]
    public void System_folders_are_out_of_bounds(string path) => Denied(new LocalFolders([], []), path);

    [Theory]
    [InlineData("/srv/x", "/srv/x"), InlineData("/srv/./a/../x", "/srv/x"), InlineData("/etcetera/x", "/etcetera/x"), InlineData("/", "/")]
    public void Anything_else_is_allowed(string path, string resolved) => Assert.Equal(resolved, new LocalFolders([], []).Resolve(path));

    [Theory]
    [InlineData("srv/x"), InlineData(""), InlineData("/srv/\0x")]
    public void Only_absolute_paths_are_paths(string path)
    {
        var e = Assert.Throws<GodwitException>(() => new LocalFolders([], []).Resolve(path));
        Assert.Equal(ErrorCode.InvalidRequest, e.Problem.Code);
    }

    [Fact]
    public void Links_do_not_lead_out_of_bounds()
    {
        var folders = new LocalFolders([], []);
        File.CreateSymbolicLink(Path.Combine(_folder, "out"), "/etc");
        File.CreateSymbolicLink(Path.Combine(_folder, "dangling"), "/etc/not-there");
        File.CreateSymbolicLink(Path.Combine(_folder, "relative"), "sub/../out");
        Directory.CreateDirectory(Path.Combine(_folder, "sub"));
        Denied(folders, Path.Combine(_folder, "out", "x"));
        Denied(folders, Path.Combine(_folder, "out", "new", "deeper", "x"));
        Denied(folders, Path.Combine(_folder, "dangling"));
        Denied(folders, Path.Combine(_folder, "relative"));
        File.CreateSymbolicLink(Path.Combine(_folder, "in"), "sub");
        Assert.Equal(Path.Combine(_folder, "sub", "x"), folders.Resolve(Path.Combine(_folder, "in", "x")));
        File.CreateSymbolicLink(Path.Combine(_folder, "loop"), "loop");
        var e = Assert.Throws<GodwitException>(() => folders.Resolve(Path.Combine(_folder, "loop")));
        Assert.Equal(ErrorCode.InvalidRequest, e.Problem.Code);
    }

    [Fact]
    public void Parents_of_disks_may_be_where_disks_may_be()
    {
        var state = Path.Combine(_folder, "state");
        var everywhere = new LocalFolders([state], []).ForParents;
        Assert.Empty(everywhere.Roots);
        Assert.Superset(new HashSet<string> { state, "/etc", "/proc" }, everywhere.Except.ToHashSet());
        var narrow = new LocalFolders([state], [_folder]).ForParents;
        Assert.Equal([_folder], narrow.Roots);
        Assert.Equal([state], narrow.Except);
    }

    [Fact]
    public void Given_roots_narrow_what_is_allowed_and_own_folders_never_are()
    {
        var folders = new LocalFolders([Path.Combine(_folder, "state")], [_folder, "/dev"]);
        Assert.Equal(Path.Combine(_folder, "x"), folders.Resolve(Path.Combine(_folder, "x")));
        Assert.Equal("/dev/godwit-disk", folders.Resolve("/dev/godwit-disk"));
        Denied(folders, _folder + "-beside/x");
        Denied(folders, "/srv/x");
        Denied(folders, Path.Combine(_folder, "state", "godwit.db"));
        Denied(folders, Path.Combine(_folder, "sub", "..", "state"));
    }

    [Fact]
    public void Boot_files_may_be_where_the_distribution_keeps_them()
    {
        var folders = new LocalFolders([Path.Combine(_folder, "state")], [_folder]);
        Assert.Equal("/boot/no-such-kernel", folders.ResolveBootFile("/boot/no-such-kernel"));
        foreach (var path in new[] { "/etc/shadow", "/proc/kcore", "/dev/mem", Path.Combine(_folder, "state", "token") })
        {
            var e = Assert.Throws<GodwitException>(() => folders.ResolveBootFile(path));
            Assert.Equal(ErrorCode.AccessDenied, e.Problem.Code);
        }
    }

    [Fact]
    public void Only_empty_folders_are_removed_and_only_up_to_the_top()
    {
        var folders = new LocalFolders([], []);
        var deep = Path.Combine(_folder, "a", "b", "c");
        Assert.Equal(Path.Combine(_folder, "a"), folders.FirstMissing(deep));
        folders.Create(deep);
        Assert.Null(folders.FirstMissing(deep));
        File.WriteAllText(Path.Combine(_folder, "a", "b", "mine"), "");
        folders.RemoveEmpty(deep, Path.Combine(_folder, "a"));
        Assert.False(Directory.Exists(deep));
        Assert.True(File.Exists(Path.Combine(_folder, "a", "b", "mine")));
        folders.DeleteFile(Path.Combine(_folder, "a", "b", "mine"));
        folders.DeleteFile(Path.Combine(_folder, "a", "b", "mine"));
        folders.DeleteFile(Path.Combine(_folder, "gone", "mine"));
        folders.RemoveEmpty(deep, Path.Combine(_folder, "a"));
        Assert.False(Directory.Exists(Path.Combine(_folder, "a")));
        Assert.True(Directory.Exists(_folder));
    }

    [Fact]
    public void Room_and_permission_are_those_of_the_deepest_folder_there_is()
    {
        var folders = new LocalFolders([], []);
        Assert.InRange(folders.AvailableBytes(Path.Combine(_folder, "a", "b")), 1, long.MaxValue);
        Assert.True(folders.IsWritable(Path.Combine(_folder, "a", "b")));
        Assert.False(folders.IsWritable("/proc/1/x"));
    }

    private static void Denied(LocalFolders folders, string path)
    {
        var e = Assert.Throws<GodwitException>(() => folders.Resolve(path));
        Assert.Equal(ErrorCode.AccessDenied, e.Problem.Code);
    }
}
