using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>An image names its parent itself: it must not lead a host out of the folders it allows.</summary>
public sealed class AllowedFoldersTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    private string Allowed => _folder.File("allowed");

    private string Outside => _folder.File("outside");

    private string Leaf => Path.Combine(Allowed, "leaf.vhdx");

    /// <summary>outside/base.vhdx ◄ outside/middle.vhdx ◄ allowed/leaf.vhdx</summary>
    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Allowed);
        Directory.CreateDirectory(Outside);
        var (parent, middle) = (Path.Combine(Outside, "base.vhdx"), Path.Combine(Outside, "middle.vhdx"));
        await DiskImage.CreateAsync(parent, ImageFormat.VhdxDynamic, 4 << 20, null, None);
        await ChildImage.CreateAsync(middle, parent, null, null, PathMap.Empty, None);
        await ChildImage.CreateAsync(Leaf, middle, null, null, PathMap.Empty, None);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_parent_outside_is_refused_with_layer_and_path_though_its_identity_is_right()
    {
        await OpenAsync(null);
        await OpenAsync(new AllowedFolders([], []));
        await OpenAsync(new AllowedFolders([Allowed, Outside], []));
        var error = await RefusedAsync(new AllowedFolders([Allowed], []), Leaf);
        Assert.Contains(Path.Combine(Outside, "middle.vhdx"), error, StringComparison.Ordinal);
        Assert.Contains(Allowed, error, StringComparison.Ordinal);
        Assert.Contains("--allow-root", error, StringComparison.Ordinal);
        await RefusedAsync(new AllowedFolders([], [Outside]), Leaf);
        await RefusedAsync(new AllowedFolders([_folder.Path], [Outside]), Leaf);
        await RefusedAsync(new AllowedFolders([Outside + "r"], []), Leaf);
    }

    [Fact]
    public async Task Every_layer_is_checked()
    {
        var inside = Path.Combine(Allowed, "middle.vhdx");
        File.Move(Path.Combine(Outside, "middle.vhdx"), inside);
        await ChildImage.SetParentAsync(Leaf, await RelinkedAsync(inside), new ChainOptions(), None);
        await RefusedAsync(new AllowedFolders([Allowed], []), inside);
    }

    [Fact]
    public async Task Links_are_followed_before_the_place_is_judged()
    {
        var link = Path.Combine(Allowed, "middle.vhdx");
        File.CreateSymbolicLink(link, Path.Combine(Outside, "middle.vhdx"));
        await RefusedAsync(new AllowedFolders([Allowed], []), Leaf);
        var root = _folder.File("root");
        Directory.CreateSymbolicLink(root, _folder.Path);
        await OpenAsync(new AllowedFolders([root], []));
        await RefusedAsync(new AllowedFolders([], [Path.Combine(root, "outside")]), Leaf);
    }

    [Fact]
    public async Task A_copy_of_the_parent_inside_is_taken_although_the_one_named_first_is_outside()
    {
        File.Copy(Path.Combine(Outside, "middle.vhdx"), Path.Combine(Allowed, "middle.vhdx"));
        File.Copy(Path.Combine(Outside, "base.vhdx"), Path.Combine(Allowed, "base.vhdx"));
        var chain = await DiskChain.OpenAsync(Leaf, Options(new AllowedFolders([Allowed], [])), None);
        await chain.Device.DisposeAsync();
        Assert.All(chain.Layers, layer => Assert.StartsWith(Allowed, layer.Path, StringComparison.Ordinal));
    }

    private async Task<string> RelinkedAsync(string middle)
    {
        await ChildImage.SetParentAsync(middle, Path.Combine(Outside, "base.vhdx"), new ChainOptions(), None);
        return middle;
    }

    private static ChainOptions Options(AllowedFolders? folders) => new() { ReadOnly = true, ParentFolders = folders };

    private async Task OpenAsync(AllowedFolders? folders) =>
        await (await DiskChain.OpenAsync(Leaf, Options(folders), None)).Device.DisposeAsync();

    private async Task<string> RefusedAsync(AllowedFolders folders, string layer)
    {
        var error = await Assert.ThrowsAsync<StorageException>(() => OpenAsync(folders));
        Assert.Equal((StorageErrorKind.AccessDenied, layer), (error.Kind, error.Path));
        return error.Reason;
    }
}
