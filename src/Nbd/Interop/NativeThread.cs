using System.Runtime.InteropServices;

namespace Godwit.Nbd.Interop;

/// <summary>Starts threads without waiting for them.</summary>
/// <remarks><see cref="Thread.Start()"/> of a program compiled ahead of time gives its processor away again and again until the new thread has
/// run. The kernel takes that for lack of interest and puts the starter behind everybody else: after a restart of a busy
/// worker the thread that accepts clients was back 95 ms later, and the next client was not served until then.</remarks>
internal static unsafe partial class NativeThread
{
    private const int Detached = 1; // PTHREAD_CREATE_DETACHED

    // 56 to 64 bytes in the C libraries there are.
    private const int AttributesSize = 128;

    /// <summary>Starts a background thread.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="stackSize">Bytes of its stack.</param>
    /// <param name="run">What it does; must not throw.</param>
    /// <returns>False: the process can have no more threads.</returns>
    public static bool TryStart(string name, int stackSize, Action run)
    {
        var handle = GCHandle.Alloc(new Work(name, run));
        var attributes = stackalloc ulong[AttributesSize / sizeof(ulong)];
        var error = InitializeAttributes(attributes);
        if (error == 0)
        {
            _ = SetDetached(attributes, Detached);
            _ = SetStackSize(attributes, (nuint)stackSize);
            error = Create(out _, attributes, &Run, GCHandle.ToIntPtr(handle));
            _ = DestroyAttributes(attributes);
        }

        if (error != 0)
            handle.Free();
        return error == 0;
    }

    [UnmanagedCallersOnly]
    private static nint Run(nint argument)
    {
        var handle = GCHandle.FromIntPtr(argument);
        var work = (Work)handle.Target!;
        handle.Free();
        Thread.CurrentThread.Name = work.Name;
        Thread.CurrentThread.IsBackground = true;
        work.Do();
        return 0;
    }

    [LibraryImport("libc", EntryPoint = "pthread_attr_init")]
    private static partial int InitializeAttributes(ulong* attributes);

    [LibraryImport("libc", EntryPoint = "pthread_attr_setdetachstate")]
    private static partial int SetDetached(ulong* attributes, int state);

    [LibraryImport("libc", EntryPoint = "pthread_attr_setstacksize")]
    private static partial int SetStackSize(ulong* attributes, nuint size);

    [LibraryImport("libc", EntryPoint = "pthread_attr_destroy")]
    private static partial int DestroyAttributes(ulong* attributes);

    [LibraryImport("libc", EntryPoint = "pthread_create")]
    private static partial int Create(out nuint thread, ulong* attributes, delegate* unmanaged<nint, nint> run, nint argument);

    private sealed record Work(string Name, Action Do);
}
