using Godwit.Qemu;
using Godwit.Qemu.Processes;
using Godwit.Qemu.Qmp;
using Xunit;

namespace Godwit.EndToEnd.Guest;

/// <summary>Memory and devices of a real guest in a file: whole, given up, damaged.</summary>
public sealed class SavedMemoryTests(ITestOutputHelper output)
{
    private const int Limit = 120_000;
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(40);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_saving_that_is_given_up_at_once_leaves_the_guest_as_it_was()
    {
        await using var guest = await PrepareAsync();
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForAcknowledgedAsync(50, Soon, Token);
        var file = guest.Disk + ".state";
        for (var round = 0; round < 3; round++)
        {
            await SavedMemory.BeginSaveAsync(qemu, file, Token);
            await SavedMemory.TakeBackAsync(qemu, TimeProvider.System, Token);
            Assert.Equal("paused", (await qemu.Monitor.QueryStatusAsync(Token)).Status);
            await qemu.ResumeAsync(Token);
            await guest.GoesOnWritingAsync(Token);
        }

        // Given up when everything was written, and the guest still stands: it can be saved again.
        await SaveAsync(qemu, file);
        await SavedMemory.TakeBackAsync(qemu, TimeProvider.System, Token);
        Assert.Equal("paused", (await qemu.Monitor.QueryStatusAsync(Token)).Status);
        await SaveAsync(qemu, file);
        await EndsCleanAsync(guest, await RestoreAsync(guest, qemu, file));
    }

    [Fact(Timeout = Limit)]
    public async Task A_file_that_cannot_be_written_is_told_and_the_guest_goes_on()
    {
        await using var guest = await PrepareAsync();
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForAcknowledgedAsync(50, Soon, Token);
        await Assert.ThrowsAsync<QmpException>(() => SavedMemory.BeginSaveAsync(qemu, "/proc/no/such/folder", Token));
        await qemu.ResumeAsync(Token);
        await guest.GoesOnWritingAsync(Token);
    }

    [Theory(Timeout = Limit)]
    [InlineData("cut")]
    [InlineData("empty")]
    [InlineData("zeroes")]
    [InlineData("missing")]
    public async Task A_file_that_is_damaged_is_refused_and_nothing_is_written_to_the_disk(string what)
    {
        await using var guest = await PrepareAsync();
        var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForAcknowledgedAsync(50, Soon, Token);
        var file = guest.Disk + ".state";
        await SaveAsync(qemu, file);
        await qemu.TurnOffAsync(Token);
        var before = await HashAsync(guest.Disk);
        Spoil(file, what);
        guest.Change(now => now with { Incoming = true });
        var second = await guest.StartAsync(Token);
        var e = await Assert.ThrowsAsync<QemuException>(() => SavedMemory.LoadAsync(second, file, TimeProvider.System, Token));
        output.WriteLine(e.Message);
        Assert.Equal(QemuErrorKind.StartFailed, e.Kind);
        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        await second.TurnOffAsync(Token);
        Assert.Equal(before, await HashAsync(guest.Disk));
    }

    private static async Task<NbdGuest> PrepareAsync() => await NbdGuest.PrepareAsync("godwit.fill=8 godwit.wr=300", Token);

    private static async Task SaveAsync(QemuProcess qemu, string file)
    {
        await SavedMemory.BeginSaveAsync(qemu, file, Token);
        while (await SavedMemory.QueryAsync(qemu, Token) is var seen && seen.State != MemoryTransferState.Completed)
        {
            Assert.Equal(MemoryTransferState.Active, seen.State);
            await Task.Delay(20, Token);
        }
    }

    private static async Task<QemuProcess> RestoreAsync(NbdGuest guest, QemuProcess first, string file)
    {
        await first.TurnOffAsync(Token);
        guest.Change(now => now with { Incoming = true });
        var second = await guest.StartAsync(Token);
        await SavedMemory.LoadAsync(second, file, TimeProvider.System, Token);
        Assert.Equal(QemuRunState.Paused, second.State.Run);
        await second.ResumeAsync(Token);
        return second;
    }

    private static async Task EndsCleanAsync(NbdGuest guest, QemuProcess qemu)
    {
        await guest.GoesOnWritingAsync(Token);
        await qemu.StopAsync(TimeSpan.FromSeconds(60), Token);
        var records = await Godwit.Testing.Guest.GuestRecords.VerifyAsync(guest.Disk, guest.Log, Token);
        Assert.True(records.IsClean, string.Join('\n', records.Problems));
    }

    private static void Spoil(string file, string what)
    {
        switch (what)
        {
            case "cut":
                using (var stream = File.OpenWrite(file))
                    stream.SetLength(stream.Length / 2);
                break;
            case "empty":
                File.WriteAllBytes(file, []);
                break;
            case "zeroes":
                using (var stream = File.OpenWrite(file))
                    stream.Write(new byte[64 << 10]);
                break;
            case "missing":
                File.Delete(file);
                break;
            default:
                break;
        }
    }

    private static async Task<string> HashAsync(string file)
    {
        await using var stream = File.OpenRead(file);
        return Convert.ToHexString(await System.Security.Cryptography.SHA256.HashDataAsync(stream, Token));
    }
}
