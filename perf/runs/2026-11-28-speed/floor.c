#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
typedef unsigned long long u64;
static u64 now(){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec*1000000000ull+t.tv_nsec;}
static int conn(int port){int f=socket(AF_INET,SOCK_STREAM,0);struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port)};inet_pton(AF_INET,"127.0.0.1",&a.sin_addr);if(connect(f,(void*)&a,sizeof a)){perror("connect");exit(1);}int one=1;setsockopt(f,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);return f;}
static int port,n; static u64 *lat,*lats;
static void*consumer(void*x){int f=conn(port);char b[4096];const char*q="*6\r\n$6\r\nBLMOVE\r\n$1\r\nq\r\n$1\r\nd\r\n$5\r\nRIGHT\r\n$4\r\nLEFT\r\n$1\r\n0\r\n";const char*d="*2\r\n$3\r\nDEL\r\n$1\r\nd\r\n";
 for(int i=0;i<n;i++){write(f,q,strlen(q));int k=read(f,b,sizeof b);u64 t=now();b[k]=0;char*p=strchr(b,'\n')+1;u64 in=strtoull(p,&p,10),se=strtoull(p,&p,10);lat[i]=t-in;lats[i]=t-se;}
 return 0;}
static int cmp(const void*a,const void*b){u64 x=*(u64*)a,y=*(u64*)b;return x<y?-1:x>y;}
int main(int c,char**v){port=atoi(v[1]);int rate=atoi(v[2]);n=atoi(v[3]);lat=calloc(n,8);lats=calloc(n,8);
 pthread_t th;pthread_create(&th,0,consumer,0);
 prctl(PR_SET_TIMERSLACK,1);int f=conn(port);const char*off="*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n";write(f,off,strlen(off));usleep(100000);
 u64 beg=now()+10000000;
 for(int i=0;i<n;i++){u64 at=beg+(u64)i*1000000000ull/rate;struct timespec t={at/1000000000ull,at%1000000000ull};while(now()<at)clock_nanosleep(CLOCK_MONOTONIC,TIMER_ABSTIME,&t,0);
  char p[64],m[256];int l=sprintf(p,"%llu %llu",at,now());int k=sprintf(m,"*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n$%d\r\n%s\r\n",l,p);write(f,m,k);}
 pthread_join(th,0);
 qsort(lat,n,8,cmp);qsort(lats,n,8,cmp);
 printf("rate %d: from intended p50 %.1f p90 %.1f p99 %.1f us; from sending p50 %.1f p99 %.1f\n",rate,lat[n/2]/1e3,lat[n*9/10]/1e3,lat[n*99/100]/1e3,lats[n/2]/1e3,lats[n*99/100]/1e3);}
