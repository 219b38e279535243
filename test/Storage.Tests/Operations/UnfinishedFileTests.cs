using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>An unfinished file is gone on with by the same plan only, and nothing half done gets the name.</summary>
public sealed class UnfinishedFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Target => _folder.File("t.vhdx");

    private string Partial => _folder.File("t.vhdx.partial");

    private string Journal => _folder.File("t.vhdx.partial.journal");

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 30_000)]
    public async Task The_same_plan_goes_on_where_the_last_record_was()
    {
        var plan = CreatePlan();
        var begun = await UnfinishedFile.BeginAsync(Target, plan, restart: false);
        Assert.Equal((Partial, 0L), (begun.Path, begun.CopiedTo));
        await File.WriteAllTextAsync(begun.Path, "some", Token);
        begun.NoteCopied(8192);
        begun.NoteCopied(1 << 20);
        Assert.Equal(1 << 20, (await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart: false)).CopiedTo);
        Assert.Equal("some", await File.ReadAllTextAsync(Partial, Token));
    }

    [Fact(Timeout = 30_000)]
    public async Task Without_a_record_above_zero_it_is_begun_anew()
    {
        await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false);
        await File.WriteAllTextAsync(Partial, "half created", Token);
        Assert.Equal(0, (await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart: false)).CopiedTo);
        Assert.False(File.Exists(Partial));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_completed_file_has_the_name_and_nothing_is_left()
    {
        var begun = await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false);
        await File.WriteAllTextAsync(Partial, "whole", Token);
        begun.Complete();
        Assert.Equal("whole", await File.ReadAllTextAsync(Target, Token));
        Assert.Equal([_folder.File("s.img"), Target], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task What_a_kill_inside_a_record_left_goes_with_the_completion()
    {
        await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false);
        (await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart: false)).NoteCopied(4096);
        await File.WriteAllTextAsync(Partial, "whole", Token);
        await File.WriteAllTextAsync(Journal + ".new", "{", Token);
        (await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart: false)).Complete();
        Assert.Equal([_folder.File("s.img"), Target], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task What_a_kill_behind_the_renaming_left_goes_when_the_target_is_found()
    {
        await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false);
        await File.WriteAllTextAsync(Target, "whole", Token);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart: false));
        Assert.Equal((StorageErrorKind.AlreadyExists, Target), (error.Kind, error.Path));
        Assert.Equal([_folder.File("s.img"), Target], Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_name_that_was_taken_meanwhile_is_not_replaced()
    {
        var begun = await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false);
        await File.WriteAllTextAsync(Partial, "mine", Token);
        await File.WriteAllTextAsync(Target, "another's", Token);
        Assert.Equal(StorageErrorKind.AlreadyExists, Assert.Throws<StorageException>(begun.Complete).Kind);
        begun.Discard();
        Assert.Equal("another's", await File.ReadAllTextAsync(Target, Token));
        Assert.False(File.Exists(Partial) || File.Exists(Journal));
    }

    [Theory(Timeout = 30_000)]
    [InlineData("source", "has changed since it was begun")]
    [InlineData("other", "it was begun from")]
    [InlineData("format", "it was begun with other options")]
    [InlineData("operation", "it was begun by convert")]
    [InlineData("journal", "nothing beside it tells how it was begun")]
    [InlineData("garbage", "nothing beside it tells how it was begun")]
    public async Task Another_plan_is_refused_with_the_reason_until_it_restarts(string what, string reason)
    {
        var plan = CreatePlan();
        (await UnfinishedFile.BeginAsync(Target, plan, restart: false)).NoteCopied(4096);
        await File.WriteAllTextAsync(Partial, "some", Token);
        plan = await ChangeAsync(plan, what);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await UnfinishedFile.BeginAsync(Target, plan, restart: false));
        Assert.Equal((StorageErrorKind.AlreadyExists, Partial), (error.Kind, error.Path));
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
        Assert.Equal("some", await File.ReadAllTextAsync(Partial, Token));
        Assert.Equal(0, (await UnfinishedFile.BeginAsync(Target, plan, restart: true)).CopiedTo);
        Assert.False(File.Exists(Partial));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_another_process_writes_is_left_alone(bool restart)
    {
        (await UnfinishedFile.BeginAsync(Target, CreatePlan(), restart: false)).NoteCopied(4096);
        await using var writer = LocalFile.Create(Partial);
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await UnfinishedFile.BeginAsync(Target, CreatePlan(write: false), restart));
        Assert.Equal(StorageErrorKind.InUse, error.Kind);
        Assert.True(File.Exists(Partial) && File.Exists(Journal));
    }

    private async Task<CopyPlan> ChangeAsync(CopyPlan plan, string what)
    {
        switch (what)
        {
            case "source":
                await File.WriteAllTextAsync(_folder.File("s.img"), "changed", Token);
                return CreatePlan(write: false);
            case "other":
                File.Copy(_folder.File("s.img"), _folder.File("o.img"));
                return plan with { Sources = [FileIdentity.Read(_folder.File("o.img"))] };
            case "journal":
                File.Delete(Journal);
                return plan;
            case "garbage":
                await File.WriteAllTextAsync(Journal, """{"version":1,"plan":null,"copiedTo":4096}""", Token);
                return plan;
            default:
                return what == "format" ? plan with { Format = ImageFormat.VhdxFixed } : plan with { Operation = "copy" };
        }
    }

    private CopyPlan CreatePlan(bool write = true)
    {
        if (write)
            File.WriteAllText(_folder.File("s.img"), "source");
        return new CopyPlan
        {
            Operation = "convert",
            Sources = [FileIdentity.Read(_folder.File("s.img"))],
            Format = ImageFormat.VhdxDynamic,
            Size = 1 << 20,
            BlockSize = 2 << 20,
            LogicalSectorSize = 512,
            PhysicalSectorSize = 4096,
            Identifier = new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
        };
    }
}
